// A registration server on node-oidc-provider, which stores clients in memory and uses
// the protocol of the other server processes (server.go). Its argument is a directory in
// which `npm install oidc-provider` was run.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

console.info = console.warn = console.error; // standard output is only for answers
const require = createRequire(join(process.argv[2], 'package.json'));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

// The library's own adapter keeps only the last thousand clients.
let kept = new Map();
class Memory {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { kept.set(this.key(id), payload); }
  async find(id) { return kept.get(this.key(id)); }
  async destroy(id) { kept.delete(this.key(id)); }
}

const provider = new Provider('https://id.example.com', {
  adapter: Memory,
  features: { registration: { enabled: true }, registrationManagement: { enabled: true, rotateRegistrationAccessToken: false } },
  routes: { registration: '/connect/dcr' },
  scopes: ['openid', 'profile', 'email', 'offline_access'],
});
const server = createServer(provider.callback()).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(`127.0.0.1:${server.address().port}`);

for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'reset') kept = new Map();
  if (command === 'heap') global.gc();
  const { user, system } = process.cpuUsage(); // microseconds
  console.log(JSON.stringify({ CPU: (user + system) * 1000, Heap: command === 'heap' ? process.memoryUsage().heapUsed : 0 }));
}
process.exit();
