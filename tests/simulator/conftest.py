from collections.abc import AsyncIterator

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from proxy.simulator import Options, Simulator

KEY = {"Authorization": "Bearer op-test"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(Options(control_port=0, sdk_key_forms=True)) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY, auto_decompress=False) as session:
        yield session


@pytest.fixture
async def openai_client(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    base_url = f"{simulator.base_url}/v3/compat"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="op-test", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def anthropic_client(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    base_url = f"{simulator.base_url}/v3/compat"
    async with anthropic.AsyncAnthropic(base_url=base_url, auth_token="op-test", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
async def google_client(simulator: Simulator) -> AsyncIterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{simulator.base_url}/v3/compat")
    sdk = genai.Client(api_key="op-test", http_options=options)
    yield sdk
    await sdk.aio.aclose()
