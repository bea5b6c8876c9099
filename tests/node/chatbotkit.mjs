// ChatBotKit's published SDK, unchanged but for base URL and secret.

import assert from 'node:assert/strict'

import { PolicyClient } from '@chatbotkit/sdk/policy/index.js'

const { BASE_URL, SECRET, BOT_ID } = process.env

const client = new PolicyClient({ baseUrl: BASE_URL, secret: SECRET })

const retention = {
  name: 'Keep 30 days ✓',
  description: 'Conversations go after a month',
  type: 'retention',
  config: { expiresInDays: 30 },
  meta: { team: 'support' },
}
const usage = {
  alias: 'loop-guard',
  name: 'Loop guard',
  type: 'usage',
  botId: BOT_ID,
  state: 'enabled',
  config: {
    metric: 'tokens',
    threshold: 1000,
    windowInSeconds: 600,
    actions: { block: { durationInSeconds: 60 }, email: 'ops@example.com' },
  },
}

async function streamed(request) {
  const items = []
  for await (const event of client.list(request).stream()) {
    assert.equal(event.type, 'item')
    items.push(event.data)
  }
  return items
}

async function refused(promise, code) {
  const error = await promise.then(
    () => assert.fail(`was not refused as ${code}`),
    (thrown) => thrown
  )
  assert.equal(error.code, code)
  assert.ok(error.message.length > 5)
  return error.message
}

assert.deepEqual(await client.list(), { items: [] })
assert.deepEqual(await streamed(), [])

// Both types are created and fetched as they were sent.
const { id: keepId } = await client.create(retention)
const { id: guardId } = await client.create(usage)
for (const [id, sent] of [[keepId, retention], [guardId, usage]]) {
  const told = await client.fetch(id)
  assert.equal(told.id, id)
  for (const [name, value] of Object.entries(sent)) {
    assert.deepEqual(told[name], value, name)
  }
  assert.ok(Math.abs(Date.now() - told.createdAt) < 60_000)
  assert.ok(told.updatedAt >= told.createdAt)
}
assert.equal((await client.fetch('@loop-guard')).id, guardId)

// Lists: a page, a cursor, an order, meta, and a stream of lines.
const ids = async (request) =>
  (await client.list(request)).items.map((item) => item.id)
assert.deepEqual(await ids(), [guardId, keepId])
assert.deepEqual(await ids({ order: 'asc' }), [keepId, guardId])
const page = await client.list({ take: 1 })
assert.equal(page.items.length, 1)
assert.deepEqual(await ids({ cursor: page.cursor }), [keepId])
assert.deepEqual(await ids({ meta: { team: 'support' } }), [keepId])
const { items } = await client.list()
assert.deepEqual(await streamed(), items)
assert.equal((await streamed({ meta: { team: 'support' } }))[0].name, retention.name)

// Updates change what they name.
for (const id of [keepId, guardId]) {
  assert.deepEqual(await client.update(id, { name: 'Renamed' }), { id })
  assert.equal((await client.fetch(id)).name, 'Renamed')
}
const config = { ...usage.config, actions: { email: {} } }
await client.update(guardId, { config, state: 'disabled', botId: null })
const guard = await client.fetch(guardId)
assert.deepEqual([guard.config, guard.state, guard.botId], [config, 'disabled', null])
await client.update(keepId, { config: { expiresInDays: 60 } })
assert.deepEqual((await client.fetch(keepId)).config, { expiresInDays: 60 })

// Errors carry a message and a code.
const message = await refused(
  client.create({ type: 'usage', config: { ...usage.config, actions: {} } }),
  'BAD_REQUEST'
)
assert.match(message, /config\.actions .*block, email/)
await refused(client.create({ ...usage, config: { ...usage.config, threshold: 0 } }), 'BAD_REQUEST')
await refused(client.create({ alias: 'loop-guard' }), 'CONFLICT')
await refused(client.create({ ...usage, alias: null, botId: 'bot_none' }), 'UNPROCESSABLE_ENTITY')
await refused(client.fetch('pol_none'), 'NOT_FOUND')
await refused(client.update('pol_none', {}), 'NOT_FOUND')
const nobody = new PolicyClient({ baseUrl: BASE_URL, secret: 'wrong' })
await refused(nobody.list(), 'NOT_AUTHENTICATED')
await assert.rejects(async () => {
  for await (const _ of nobody.list().stream()) assert.fail('streamed')
}, { code: 'NOT_AUTHENTICATED' })

// Deleted is gone.
for (const id of [keepId, guardId]) {
  assert.deepEqual(await client.delete(id), { id })
  await refused(client.fetch(id), 'NOT_FOUND')
}
assert.deepEqual(await client.list(), { items: [] })

console.log('all of it works')
