"""A machine that pushes and publishes, and what it can be asked."""

from machines import READ, Machine
from transfer_world import content

from huracan_sync.hamilton import Hamilton
from huracan_sync.operations.publish import Publish, renew, roll_back
from huracan_sync.operations.push import PushOptions
from huracan_sync.signing.channel_publisher import ChannelPublisher

DATA = "/Engine/data"


def weights(seed, size):
    """So many bytes that look like nothing else, in a format that holds data only (NumPy's); few are a text."""
    if size < 200:
        return content(seed, size).hex().encode()[:size]
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size - 128},), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content(seed, size - 128)


class Publisher(Machine):
    """A machine with a key and a local folder."""

    def __init__(self, dropbox, folder, *, key="sign.key", clock=None, **more):
        super().__init__(dropbox, folder, key=key, clock=clock, **more)
        self.src = folder / "src"
        self.src.mkdir(parents=True)

    def write(self, files, *, below=None):
        """Files in the local folder: path -> bytes, or a size to be filled."""
        for path, data in files.items():
            target = (below or self.src) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(weights(path, data) if isinstance(data, int) else data)

    def push(self, to=DATA, *, channel=None, transfer=None, monitor=None, **options):
        options |= {"transfer": transfer} if transfer else {}
        return self.push_folder(self.src, to, channel=channel, monitor=monitor, **options)

    def counted(self, work):
        """How many requests to the API some work takes; and what came of it."""
        self.dropbox.control("log/reset", {})
        came = work()
        return sum(self.dropbox.log()["requests"].values()), came

    def publish(self, to=None, *, channel="champions", monitor=None, **options):
        with (context := self.context(monitor)).pair(self.src, to or self.remote.root) as pair:
            return Publish(context, pair, PushOptions(**{"wait_s": 0.0, **options}), channel=channel).run()

    def channel_publisher(self, channel="champions", root="/Engine"):
        return ChannelPublisher(self.context(), root=root, channel=channel)

    def roll_back(self, sequence, channel="champions", root="/Engine"):
        return roll_back(self.context(), root, channel, sequence)

    def renew(self, channel="champions", root="/Engine"):
        return renew(self.context(), root, channel)


def read_as_hamilton(dropbox, publisher, folder, monkeypatch):
    """Let this process read as `hamilton`, with a login that cannot write and the publisher's pin."""
    grant = dropbox.token(READ)
    file = folder / "refresh-token"
    file.write_text(grant["refresh_token"])
    file.chmod(0o400)
    monkeypatch.setenv("HURACAN_REFRESH_TOKEN_FILE", str(file))
    monkeypatch.setenv("HURACAN_APP_KEY", grant["app_key"])
    monkeypatch.setenv("HURACAN_APP_FOLDER", publisher.remote.root)
    hamilton = Hamilton.open("hamilton", keep_set=0)
    hamilton.pin(publisher.pin())
    return hamilton
