// Uses of the Node SDKs, asked for one JSON line at a time on standard input, answered by one line each.
// An ask is {use, url, key, model, prompt, extra, retries, control}; `control` turns lockstep on.
import { createInterface } from 'node:readline';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI, { toFile } from 'openai';

const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from([...Array(256).keys()])]);
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const FUNCTION = { name: 'weather', description: 'The weather of a city.', parameters: PARAMETERS };

// What goes over the connection, below everything that an SDK does itself.
function observed(ask, exchanges) {
  return async (url, init) => {
    // The openai SDK asks for an empty data: URL to find out what fetch can do with forms.
    if (url.toString().startsWith('data:')) return fetch(url, init);
    const exchange = { method: init?.method ?? 'GET', target: url.toString().slice(ask.url.length), events: 0 };
    exchange.body = typeof init?.body === 'string' ? Buffer.from(init.body).toString('base64') : null;
    exchange.headers = Object.fromEntries(new Headers(init?.headers).entries());
    exchanges.push(exchange);
    const reply = await fetch(url, init);
    exchange.status = reply.status;
    exchange.answer = Object.fromEntries(reply.headers.entries());
    exchange.received = 0;
    if (!reply.body) return reply;
    return new Response(reply.body.pipeThrough(counted(ask, exchange)), reply);
  };
}

function counted(ask, exchange) {
  let tail = '';
  return new TransformStream({
    async transform(chunk, out) {
      exchange.received += chunk.length;
      out.enqueue(chunk);
      const text = tail + Buffer.from(chunk).toString('latin1');
      const events = text.split('\n\n');
      tail = events.pop();
      for (const _ of events) {
        exchange.events += 1;
        if (ask.control) {
          const body = JSON.stringify({ event: exchange.events });
          await fetch(`${ask.control}/confirm`, { method: 'POST', body });
        }
      }
    },
  });
}

function openai(ask, exchanges) {
  const options = { baseURL: `${ask.url}/v1`, apiKey: ask.key, fetch: observed(ask, exchanges) };
  return new OpenAI({ ...options, ...(ask.retries === undefined ? {} : { maxRetries: ask.retries }) });
}

function anthropic(ask, exchanges) {
  const options = { baseURL: ask.url, apiKey: ask.key, fetch: observed(ask, exchanges) };
  return new Anthropic({ ...options, ...(ask.retries === undefined ? {} : { maxRetries: ask.retries }) });
}

const user = (ask) => [{ role: 'user', content: ask.prompt }];
const turn = (ask) => ({ model: ask.model, max_tokens: 64, messages: user(ask), ...ask.extra });

const USES = {
  async 'openai chat.completions plain'(ask, sdk) {
    const got = await sdk.chat.completions.create({ model: ask.model, messages: user(ask), ...ask.extra });
    return got.choices[0].message.content;
  },
  async 'openai chat.completions stream'(ask, sdk) {
    const stream = await sdk.chat.completions.create({ model: ask.model, messages: user(ask), stream: true });
    let said = '';
    for await (const chunk of stream) said += chunk.choices[0]?.delta?.content ?? '';
    return said;
  },
  async 'openai responses plain'(ask, sdk) {
    return (await sdk.responses.create({ model: ask.model, input: ask.prompt })).output_text;
  },
  async 'openai responses stream'(ask, sdk) {
    const stream = await sdk.responses.create({ model: ask.model, input: ask.prompt, stream: true });
    let said = '';
    let last;
    for await (const event of stream) {
      last = event.type;
      if (last === 'response.output_text.delta') said += event.delta;
    }
    return last === 'response.completed' ? said : `ended with ${last}`;
  },
  async 'openai embeddings plain'(ask, sdk) {
    const got = await sdk.embeddings.create({ model: ask.model, input: [ask.prompt, 'second'] });
    return `${got.data.length} vectors of ${typeof got.data[0].embedding[0]}`;
  },
  async 'openai images.generate plain'(ask, sdk) {
    const got = await sdk.images.generate({ model: ask.model, prompt: ask.prompt, n: 1 });
    return got.data[0].b64_json ? 'a picture' : '';
  },
  async 'openai images.edit multipart'(ask, sdk) {
    const image = await toFile(PNG, 'holiday.png', { type: 'image/png' });
    const got = await sdk.images.edit({ model: ask.model, prompt: ask.prompt, image });
    return got.data[0].b64_json ? 'a picture' : '';
  },
  async 'openai tools'(ask, sdk) {
    const tools = [{ type: 'function', function: FUNCTION }];
    const messages = user(ask);
    const first = await sdk.chat.completions.create({ model: ask.model, messages, tools });
    const message = first.choices[0].message;
    messages.push(message);
    for (const call of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: call.id, content: 'rain, as ever' });
    }
    const last = await sdk.chat.completions.create({ model: ask.model, messages, tools });
    return last.choices[0].message.content;
  },
  async 'openai streamed tools'(ask, sdk) {
    const tools = [{ type: 'function', function: FUNCTION }];
    const messages = user(ask);
    const stream = sdk.chat.completions.stream({ model: ask.model, messages, tools });
    const message = (await stream.finalChatCompletion()).choices[0].message;
    messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sun' });
    const last = await sdk.chat.completions.create({ model: ask.model, messages, tools });
    return last.choices[0].message.content;
  },
  async 'openai responses tools'(ask, sdk) {
    const tools = [{ type: 'function', strict: true, ...FUNCTION }];
    const input = user(ask);
    const first = await sdk.responses.create({ model: ask.model, input, tools });
    input.push(...first.output);
    for (const item of first.output.filter((each) => each.type === 'function_call')) {
      input.push({ type: 'function_call_output', call_id: item.call_id, output: 'rain, as ever' });
    }
    return (await sdk.responses.create({ model: ask.model, input, tools })).output_text;
  },
  async 'openai models'(ask, sdk) {
    const ids = [];
    for await (const model of sdk.models.list()) ids.push(model.id);
    return ids;
  },
  async 'openai elsewhere'(ask, sdk) {
    return (await sdk.files.list()).data;
  },
  async 'anthropic messages plain'(ask, sdk) {
    return (await sdk.messages.create(turn(ask))).content[0].text;
  },
  async 'anthropic messages stream'(ask, sdk) {
    return sdk.messages.stream(turn(ask)).finalText();
  },
  async 'anthropic messages.count_tokens plain'(ask, sdk) {
    return sdk.messages.countTokens({ model: ask.model, messages: user(ask) });
  },
  async 'anthropic beta'(ask, sdk) {
    const got = await sdk.beta.messages.create({ ...turn(ask), betas: ['context-1m-2025-08-07'] });
    return got.content[0].text;
  },
  async 'anthropic tools'(ask, sdk) {
    const tools = [{ name: 'weather', input_schema: PARAMETERS }];
    const messages = user(ask);
    const first = await sdk.messages.create({ model: ask.model, max_tokens: 64, messages, tools });
    const results = first.content
      .filter((block) => block.type === 'tool_use')
      .map((block) => ({ type: 'tool_result', tool_use_id: block.id, content: 'rain, as ever' }));
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: results });
    const last = await sdk.messages.create({ model: ask.model, max_tokens: 64, messages, tools });
    return last.content[0].text;
  },
  async 'anthropic streamed tools'(ask, sdk) {
    const tools = [{ name: 'weather', input_schema: PARAMETERS }];
    const messages = user(ask);
    const stream = sdk.messages.stream({ model: ask.model, max_tokens: 64, messages, tools });
    const first = await stream.finalMessage();
    const use = first.content.find((block) => block.type === 'tool_use');
    const result = { type: 'tool_result', tool_use_id: use.id, content: 'sun' };
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [result] });
    const last = await sdk.messages.create({ model: ask.model, max_tokens: 64, messages, tools });
    return last.content[0].text;
  },
  async 'anthropic models'(ask, sdk) {
    const ids = [];
    for await (const model of sdk.models.list()) ids.push(model.id);
    return ids;
  },
  async 'anthropic elsewhere'(ask, sdk) {
    return (await sdk.beta.files.list()).data;
  },
};

// What a program can find out from an SDK's own error, and whether it is of the class that it is named.
function told(error) {
  const named = OpenAI[error.constructor.name] ?? Anthropic[error.constructor.name];
  return {
    name: error.constructor.name,
    typed: named !== undefined && (error instanceof OpenAI.APIError || error instanceof Anthropic.APIError),
    status: error.status ?? null,
    code: error.code ?? null,
    param: error.param ?? null,
    body: error.error ?? null,
    message: error.message,
  };
}

async function answer(ask) {
  const exchanges = [];
  const sdk = ask.use.startsWith('openai') ? openai(ask, exchanges) : anthropic(ask, exchanges);
  try {
    return { said: await USES[ask.use](ask, sdk), exchanges };
  } catch (error) {
    return { error: told(error), exchanges };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
}
