// SPDX-License-Identifier: Apache-2.0
// One node of npm's bittorrent-dht, and npm's pkarr, for tests: commands come
// as lines of JSON, answers go as such.
//
//   node dht_client.mjs NPM_DIR HOST:PORT     the one node it begins with
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [dir, bootstrap] = process.argv.slice(2)
const load = name => import(pathToFileURL(`${dir}/node_modules/${name}`).href)
const { default: DHT } = await load('bittorrent-dht/index.js')
const { default: sodium } = await load('sodium-universal/index.js')
const { default: Pkarr, SignedPacket, z32 } = await load('pkarr/index.js')
const { DHT: PkarrDHT } = await load('pkarr/lib/dht.js')

const verify = (sig, message, key) => sodium.crypto_sign_verify_detached(sig, message, key)
const dht = new DHT({ bootstrap: [bootstrap], verify, timeBucketOutdated: 60000 })
const [host, port] = bootstrap.split(':')
const nowhere = { loadRoutingTable () {}, saveRoutingTable () {} }

const call = run => new Promise((resolve, reject) =>
  run((error, value, extra) => error ? reject(error) : resolve([value, extra])))

function keyPair (byte) {
  const publicKey = Buffer.alloc(32)
  const secretKey = Buffer.alloc(64)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, Buffer.alloc(32, byte))
  return { publicKey, secretKey }
}

function sign (secretKey) {
  return message => {
    const sig = Buffer.alloc(64)
    sodium.crypto_sign_detached(sig, message, secretKey)
    return sig
  }
}

function packetOf (byte, texts) {
  return SignedPacket.fromPacket(keyPair(byte), {
    id: 0,
    type: 'response',
    flags: 0,
    answers: texts.map(data => ({ name: '_mesh', type: 'TXT', ttl: 30, class: 'IN', data }))
  })
}

const textsOf = packet => packet.resourceRecords('_mesh').filter(row => row.type === 'TXT')
  .map(row => row.data.toString())

const commands = {
  async join () {
    if (!dht.ready) await new Promise(resolve => dht.once('ready', resolve))
    return dht.address().port
  },
  async putImmutable (text) {
    const [hash, count] = await call(done => dht.put({ v: Buffer.from(text) }, done))
    return { target: hash.toString('hex'), stored: count }
  },
  async get (target, salt) {
    const options = salt ? { salt: Buffer.from(salt) } : {}
    const [value] = await call(done => dht.get(target, options, done))
    return value && { text: value.v.toString(), seq: value.seq ?? null }
  },
  async putMutable (byte, text, salt, seq, cas) {
    const { publicKey, secretKey } = keyPair(byte)
    const item = { k: publicKey, v: Buffer.from(text), seq, sign: sign(secretKey) }
    if (salt) item.salt = Buffer.from(salt)
    if (cas !== undefined && cas !== null) item.cas = cas
    const [hash, count] = await call(done => dht.put(item, done))
    return { key: publicKey.toString('hex'), target: hash.toString('hex'), stored: count }
  },
  async announce (hash, at) {
    await call(done => dht.announce(hash, at, done))
    return true
  },
  async lookup (hash) {
    const found = new Set()
    const note = peer => found.add(`${peer.host}:${peer.port}`)
    dht.on('peer', note)
    await call(done => dht.lookup(hash, done))
    dht.off('peer', note)
    return [...found]
  },
  async resolve (id) {
    const own = new PkarrDHT({ bootstrap: [{ host, port: Number(port) }], storage: nowhere })
    try {
      const result = await own.get(z32.decode(id), { fullLookup: true })
      const packet = result && SignedPacket.fromBep44Args(result)
      return packet && { texts: textsOf(packet), seq: result.seq }
    } finally {
      own.destroy()
    }
  },
  async publish (byte, texts) {
    const own = new PkarrDHT({ bootstrap: [{ host, port: Number(port) }], storage: nowhere })
    try {
      const packet = packetOf(byte, texts)
      await own.put(packet.bep44Args())
      return z32.encode(packet.publicKey())
    } finally {
      own.destroy()
    }
  },
  async relayPut (url, byte, texts) {
    const packet = packetOf(byte, texts)
    const response = await Pkarr.relayPut(url, packet)
    return { id: z32.encode(packet.publicKey()), status: response.status }
  },
  async relayGet (url, id) {
    return textsOf(await Pkarr.relayGet(url, z32.decode(id)))
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = JSON.parse(line)
  let answer
  try {
    answer = { ok: await commands[name](...words) ?? null }
  } catch (why) {
    answer = { failed: String(why) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)
