"""SIP signalling: an RFC 3261 core over aiosipua's message syntax."""
