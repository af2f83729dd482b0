"""Pictures that stay: kept, restored, in the gallery, recorded. Nothing is imported here."""
