// Runs the suite http-cache-tests: its origin on one port, its client against an edge in front of it.
//
//   node run.mjs PACKAGES ORIGIN EDGE [TEST]
//
// PACKAGES is the directory with node_modules, ORIGIN a port, EDGE a host and port. "ready" on the
// standard output means that the origin listens. The client starts at the next line of the standard
// input, and then prints the results as one line of JSON: test -> [group, kind, result]. The result is
// true, [error, message], or null for a test that only browsers run.

import { existsSync } from 'fs'
import http from 'http'
import process from 'process'
import readline from 'readline'
import { pathToFileURL } from 'url'

const [packages, origin, edge, only] = process.argv.slice(2)
const modules = pathToFileURL(`${packages}/node_modules/`)
const load = (path) => import(new URL(path, modules))
// The release of the suite and its later commits have their files in different places.
const release = existsSync(new URL('http-cache-tests/client', modules))
const suite = (path) => load(`http-cache-tests/${path}`)
const engine = (path) => suite(release ? path : `test-engine/${path}`)

Object.assign(process.env, {
  npm_config_protocol: 'http', npm_config_port: origin, npm_config_pidfile: '/dev/null'
})
const print = console.log
console.log = console.error // the suite's messages
await engine('server/server.mjs')

const tests = (await suite('tests/index.mjs')).default
if (release) tests.push((await suite('tests/surrogate-control.mjs')).default)
const { runTests, getResults } = await engine('client/runner.mjs')
const nodeFetch = release ? (await load('node-fetch/lib/index.mjs')).default : null
const undici = release ? null : (await load('undici/index.js')).default

// Each test is one client, with an address of its own. Its configuration and its log are no part of
// the test, so they do not pass through the edge: a client that writes gets no page from before.
const addresses = new Map()

function addressOf (test) {
  if (!addresses.has(test)) {
    const number = addresses.size + 1
    addresses.set(test, `127.1.${number >> 8}.${number & 255}`)
  }
  return addresses.get(test)
}

function ask (url, init) {
  const [, what, test] = new URL(url).pathname.split('/')
  const call = release ? nodeFetch : undici.fetch
  if (what !== 'test') return call(url.replace(edge, `127.0.0.1:${origin}`), init)
  const localAddress = addressOf(test)
  if (release) return call(url, { ...init, agent: new http.Agent({ localAddress }) })
  return call(url, { dispatcher: new undici.Agent({ localAddress, pipelining: 0 }), ...init })
}

if (only) {
  for (const group of tests) {
    group.tests = group.tests.filter(test => test.id === only)
    group.tests.forEach(test => { test.dump = true })
  }
}
print('ready')
const lines = readline.createInterface({ input: process.stdin })
await new Promise(resolve => lines.once('line', resolve))
if (release) {
  await runTests(tests, ask, false, `http://${edge}`)
} else {
  globalThis.fetch = ask
  await runTests(tests, false, `http://${edge}`)
}
const results = getResults()
const found = {}
for (const group of tests) {
  for (const test of group.tests) {
    found[test.id] = [group.id, test.kind || 'required', results[test.id] || null]
  }
}
print(JSON.stringify(found))
process.exit(0)
