"""One of several processes that ask with sixteen threads at the same moment, given as seconds since 1970."""

import sys
import threading
import time

from huracan_sync.auth.connect import connect
from huracan_sync.remote.stat import metadata

THREADS = 16


def main(moment: float) -> int:
    remote = connect()
    failures: list[BaseException] = []

    def ask() -> None:
        time.sleep(max(0.0, moment - time.time()))
        try:
            metadata(remote, "/nothing")
        except BaseException as error:  # noqa: BLE001  told below
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        print(failure, file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
