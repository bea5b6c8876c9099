// OpenAI's published client, unchanged but for base URL and key.

import assert from 'node:assert/strict'

import OpenAI from 'openai'

const { BASE_URL, KEY, SPENT_BOT } = process.env
const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY })
const messages = [{ role: 'user', content: 'one two three four' }]

async function textOf(stream) {
  let text = ''
  let usage = null
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage
    for (const choice of chunk.choices) text += choice.delta.content ?? ''
  }
  return [text, usage]
}

const model = (await client.models.list()).data[0].id
const plain = await client.chat.completions.create({ model, messages })
assert.equal(plain.choices[0].message.content, 'one two three four')

assert.deepEqual(
  await textOf(await client.chat.completions.create({ model, messages, stream: true })),
  ['one two three four', null],
)
const [text, usage] = await textOf(
  await client.chat.completions.create({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  }),
)
assert.equal(text, 'one two three four')
assert.deepEqual(usage, plain.usage)

const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }]
const called = await client.chat.completions.create({
  model,
  messages,
  tools,
  tool_choice: 'required',
})
assert.equal(called.choices[0].message.tool_calls[0].function.name, 'look_up')

const json = await client.chat.completions.create({
  model,
  messages,
  response_format: { type: 'json_object' },
})
assert.deepEqual(JSON.parse(json.choices[0].message.content), { echo: 'one two three four' })

const vectors = await client.embeddings.create({ model: 'echo-embedding', input: ['a', 'b'] })
assert.equal(vectors.data[1].embedding.length, 64)

await assert.rejects(
  client.chat.completions.create({ model: 'no-such', messages }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found',
)
await assert.rejects(
  new OpenAI({ baseURL: BASE_URL, apiKey: 'sk-wrong' }).models.list(),
  (error) => error instanceof OpenAI.AuthenticationError && error.code === 'invalid_api_key',
)
await assert.rejects(async () => {
  const request = { model: 'echo-cut-utf8', messages, stream: true }
  for await (const chunk of await client.chat.completions.create(request)) assert.ok(chunk)
}, (error) => error instanceof OpenAI.APIError)

let requests = 0
const counting = new OpenAI({
  baseURL: BASE_URL,
  apiKey: KEY,
  maxRetries: 5,
  defaultHeaders: { 'X-Policy-Target': SPENT_BOT },
  fetch: (url, init) => {
    requests += 1
    return fetch(url, init)
  },
})
await assert.rejects(
  counting.chat.completions.create({ model, messages }),
  (error) =>
    error instanceof OpenAI.RateLimitError && error.code === 'policy_budget_exceeded',
)
assert.equal(requests, 1)

const stream = await client.chat.completions.create({
  model: 'echo-drip-20',
  messages,
  stream: true,
})
for await (const chunk of stream) {
  assert.ok(chunk)
  stream.controller.abort()
  break
}
