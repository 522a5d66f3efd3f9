"""A server of the tests, answering in a thread of this process for as long as it is needed."""

import threading
from contextlib import contextmanager


@contextmanager
def answering(server):
    """The server, until the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
