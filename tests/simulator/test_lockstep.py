import asyncio
from typing import Any

from proxy.simulator.lockstep import Lockstep

CHAT = "/v3/compat/chat/completions"


def ask(text: Any) -> Any:
    return {"model": "example-us/atlas-1", "stream": True, "messages": [{"role": "user", "content": text}]}


async def events(reply: Any) -> Any:
    """The events of a stream, each as soon as it is whole."""
    buffer = b""
    async for chunk in reply.content.iter_any():
        buffer += chunk
        while b"\n\n" in buffer:
            event, buffer = buffer.split(b"\n\n", 1)
            yield event


async def test_each_event_waits_for_the_one_before_to_be_confirmed(simulator, client):
    simulator.lockstep.on = True
    async with client.post(simulator.base_url + CHAT, json=ask("[[words:4]]")) as reply:
        number = 0
        last = b""
        async for event in events(reply):
            number, last = number + 1, event
            assert simulator.lockstep.sent() == number
            await simulator.lockstep.confirm(number)
    assert last == b"data: [DONE]"
    assert number == 7


async def test_without_a_confirmation_nothing_more_comes(simulator, client):
    async with client.post(simulator.base_url + CHAT, json=ask("[[words:4]] [[lockstep:a]]")) as reply:
        stream = events(reply)
        await anext(stream)
        following = asyncio.ensure_future(anext(stream))
        done, _ = await asyncio.wait([following], timeout=0.1)
        assert not done
        assert simulator.lockstep.sent("a") == 1
        await simulator.lockstep.confirm(1, "a")
        await following


async def test_streams_are_confirmed_each_on_its_own(simulator, client):
    async def read(name: Any) -> Any:
        async with client.post(
            simulator.base_url + CHAT, json=ask(f"[[words:9]] [[lockstep:{name}]]")
        ) as reply:
            number = 0
            async for _ in events(reply):
                number += 1
                await simulator.lockstep.confirm(number, name)
            return number

    assert await asyncio.gather(*(read(f"s{n}") for n in range(5))) == [12] * 5


async def test_a_later_confirmation_covers_the_earlier_ones():
    lockstep = Lockstep()
    lockstep.open("s")
    await lockstep.confirm(3, "s")
    await lockstep.confirm(1, "s")
    await lockstep.wait(2, "s")
    await lockstep.wait(3, "s")
