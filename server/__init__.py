"""Draftglass's server: the LCM-LoRA engine behind a WebSocket. No bpy here."""
