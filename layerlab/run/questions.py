"""What a server of the stack is asked to see that it answers: a question in its own protocol."""

#: The beginning of a program that runs in a container: QUESTIONS maps a port to what is sent there and how a good
#: answer begins. A connection alone proves nothing, where something on the way accepts every one, or where
#: a server listens and can't serve yet: PostgreSQL then answers the startup message with an error (E), not
#: with a request to log in (R); Redis answers -LOADING, not +PONG.
PROGRAM = """
import struct
_login = struct.pack("!i", 196608) + b"user\\0notes\\0database\\0notes\\0\\0"
QUESTIONS = {
    8000: (b"GET /health HTTP/1.0\\r\\n\\r\\n", b"HTTP/"),
    5432: (struct.pack("!i", len(_login) + 4) + _login, b"R"),
    6379: (b"PING\\r\\n", b"+PONG"),
}
"""
