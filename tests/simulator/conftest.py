from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.simulator import Options, Simulator

KEY = {"Authorization": "Bearer op-test"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Options(control_port=0)) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY, auto_decompress=False) as session:
        yield session
