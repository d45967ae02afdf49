"""Mail stores of other servers: what they note beside the messages, read and written in their formats."""
