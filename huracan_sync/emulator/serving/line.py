"""The line between the clients and the emulator: so many megabits a second, shared by all connections, each way."""

import asyncio

from huracan_sync.emulator.state.world import World

_SLEPT_TOO_LONG_S = 0.005  # a sleeper wakes late; what the line could have carried meanwhile, it has carried


class _Way:
    """One direction. Bytes are let through in the order in which they come, at the rate that is set."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def carry(self, size: int, bytes_per_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time() - _SLEPT_TOO_LONG_S) + size / bytes_per_s
        await asyncio.sleep(self._free_at - loop.time())


class Line:
    """Both directions of the line."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._up, self._down = _Way(), _Way()

    async def up(self, size: int) -> None:
        """Bytes from a client."""
        await self._carry(self._up, size)

    async def down(self, size: int) -> None:
        """Bytes to a client."""
        await self._carry(self._down, size)

    async def _carry(self, way: _Way, size: int) -> None:
        rate = self._world.settings.bandwidth_mbit
        if rate:
            await way.carry(size, rate * 125_000)
