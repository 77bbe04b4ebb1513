// SPDX-License-Identifier: Apache-2.0
// npm's pkarr as a client of a pkarr relay, for tests; prints one line of JSON.
//
//   node relay_client.mjs NPM_DIR RELAY put SEED_BYTE TEXT...   -> {key, status}
//   node relay_client.mjs NPM_DIR RELAY get KEY                 -> {texts, seq}
import { pathToFileURL } from 'node:url'

const [dir, relay, command, ...words] = process.argv.slice(2)
const url = pathToFileURL(`${dir}/node_modules/pkarr/index.js`).href
const { Pkarr, SignedPacket, generateKeyPair, z32 } = await import(url)

const commands = {
  async put (byte, ...texts) {
    const pair = generateKeyPair(Buffer.alloc(32, Number(byte)))
    const packet = SignedPacket.fromPacket(pair, {
      id: 0,
      type: 'response',
      flags: 0,
      answers: texts.map(data => ({ name: '_mesh', type: 'TXT', ttl: 30, class: 'IN', data }))
    })
    const response = await Pkarr.relayPut(relay, packet)
    return { key: z32.encode(pair.publicKey), status: response.status }
  },
  async get (key) {
    const packet = await Pkarr.relayGet(relay, z32.decode(key))
    const texts = packet.resourceRecords('_mesh').map(row => row.data.toString())
    return { texts, seq: packet.timestamp() }
  }
}

console.log(JSON.stringify(await commands[command](...words)))
