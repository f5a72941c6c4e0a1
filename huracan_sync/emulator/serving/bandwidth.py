"""The bandwidth limit: a number of megabits a second in each direction, shared by all connections."""

import asyncio

from huracan_sync.emulator.state.world import World

_LATEST_WAKE_S = 0.005  # a sleeper wakes late; what the link could have carried meanwhile counts as carried


class _Direction:
    """One direction. Bytes pass in the order in which they come, at the rate that is set."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def carry(self, size: int, bytes_per_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time() - _LATEST_WAKE_S) + size / bytes_per_s
        await asyncio.sleep(self._free_at - loop.time())


class Link:
    """Both directions of the link between the clients and the emulator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._up, self._down = _Direction(), _Direction()

    async def up(self, size: int) -> None:
        """Wait until so many bytes from a client have passed."""
        await self._carry(self._up, size)

    async def down(self, size: int) -> None:
        """Wait until so many bytes to a client have passed."""
        await self._carry(self._down, size)

    async def _carry(self, direction: _Direction, size: int) -> None:
        rate = self._world.settings.bandwidth_mbit
        if rate:
            await direction.carry(size, rate * 125_000)
