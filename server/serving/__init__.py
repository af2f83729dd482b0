"""From a request in a mailbox to an answer: who is next, with which model. No torch by itself, no sockets."""
