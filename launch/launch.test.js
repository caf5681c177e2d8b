'use strict';
// Each test makes an action's folder of its own: launch/ as it is here, and a dist/ whose "binary" is a script.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const windows = process.platform === 'win32';
const posix = { skip: windows && 'Windows has neither signals nor executable scripts' };
const goos = { linux: 'linux', darwin: 'darwin', win32: 'windows' }[process.platform];
const goarch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
const name = `jfrog-token-${goos}-${goarch}${windows ? '.exe' : ''}`;

function action(t, content) {
  // A % and a line break in the path end up in messages, which must escape them. Windows allows no line break there.
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), windows ? 'jfrog-token 100%' : 'jfrog-token\r\n100%'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  fs.mkdirSync(path.join(dir, 'launch'));
  fs.mkdirSync(path.join(dir, 'dist'));
  for (const file of ['main.js', 'post.js', 'launch.js']) {
    fs.copyFileSync(path.join(__dirname, file), path.join(dir, 'launch', file));
  }
  const binary = path.join(dir, 'dist', name);
  const sums = path.join(dir, 'dist', 'SHA256SUMS');
  fs.writeFileSync(binary, content, { mode: 0o755 });
  const digest = createHash('sha256').update(content).digest('hex');
  fs.writeFileSync(sums, `${'0'.repeat(64)}  jfrog-token-plan9-amd64\n${digest}  ${name}\n`);
  return { dir, binary, sums, digest };
}

// A script that waits ends by itself after 10 s: where the launcher orphans it, the test fails instead of hanging.
const script = (body) => `#!${process.execPath}\n${body}\n`;

function start({ dir }, file, { env = {}, node = [], stdin = '' } = {}) {
  const child = spawn(process.execPath, [...node, path.join(dir, 'launch', file)], {
    cwd: dir,
    env: { ...process.env, ...env },
  });
  child.out = '';
  child.stdout.on('data', (data) => { child.out += data; });
  child.stderr.on('data', (data) => { child.out += data; });
  child.stdin.end(stdin);
  child.done = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out: child.out })));
  child.prints = (text) => new Promise((resolve, reject) => {
    const look = () => child.out.includes(text) && resolve();
    child.stdout.on('data', look);
    child.on('close', () => reject(new Error(`ended before it printed ${text}: ${child.out}`)));
    look();
  });
  return child;
}

async function refuses(started, ...parts) {
  const { code, out } = await started.done;
  assert.equal(code, 1, out);
  assert.match(out, /^::error::jfrog-token: [^\r\n]+\n$/, 'one line, and nothing else');
  for (const part of parts) assert.ok(out.includes(part), `${part} is not in: ${out}`);
}

const release = ['ephemeral-ci/jfrog-token@v1', "a release's commit SHA"];

test('main passes no argument, post passes revoke', posix, async (t) => {
  const a = action(t, script('console.log(JSON.stringify(process.argv.slice(2)))'));
  assert.deepEqual(await start(a, 'main.js').done, { code: 0, signal: null, out: '[]\n' });
  assert.deepEqual(await start(a, 'post.js').done, { code: 0, signal: null, out: '["revoke"]\n' });
});

test('the environment arrives as it is', posix, async (t) => {
  const a = action(t, script('console.log(JSON.stringify(process.env))'));
  const env = {
    'INPUT_OIDC-PROVIDER-NAME': 'git hub',
    'INPUT_SCOPE': 'a\nb "c" $d %e',
    'INPUT_URL': '',
    'STATE_token.id': 'é',
  };
  const { out } = await start(a, 'main.js', { env }).done;
  assert.deepEqual(JSON.parse(out), { ...process.env, ...env });
});

test('standard input, both outputs and the exit code pass through', posix, async (t) => {
  const a = action(t, script('process.stdin.pipe(process.stderr); process.exitCode = 42'));
  assert.deepEqual(await start(a, 'main.js', { stdin: 'hello' }).done, { code: 42, signal: null, out: 'hello' });
});

// A Node with no argument runs what it reads. Homebrew's finds its libraries by its own place, so a copy does not start.
test('a native executable starts', { skip: process.platform === 'darwin' && 'a copied Node may not start' }, async (t) => {
  const a = action(t, fs.readFileSync(process.execPath));
  const stdin = 'console.log(process.env["INPUT_OIDC-PROVIDER-NAME"]); process.exitCode = 42';
  const { code, out } = await start(a, 'main.js', { stdin, env: { 'INPUT_OIDC-PROVIDER-NAME': 'github' } }).done;
  assert.deepEqual({ code, out }, { code: 42, out: 'github\n' });
});

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  test(`${signal} reaches the binary, and its clean-up is awaited`, posix, async (t) => {
    const a = action(t, script(`
      process.on('${signal}', () => setTimeout(() => { console.log('revoked'); process.exit(${code}); }, 300));
      setTimeout(() => {}, 10_000);
      console.log('ready');`));
    const child = start(a, 'main.js');
    await child.prints('ready');
    child.kill(signal);
    assert.deepEqual(await child.done, { code, signal: null, out: 'ready\nrevoked\n' });
  });
}

test('a second signal reaches the binary too', posix, async (t) => {
  const a = action(t, script(`
    process.on('SIGINT', () => console.log('first'));
    process.on('SIGTERM', () => process.exit(143));
    setTimeout(() => {}, 10_000);
    console.log('ready');`));
  const child = start(a, 'post.js');
  await child.prints('ready');
  child.kill('SIGINT');
  await child.prints('first');
  child.kill('SIGTERM');
  assert.equal((await child.done).code, 143);
});

for (const [signal, code] of [['SIGKILL', 137], ['SIGTERM', 143]]) {
  test(`a binary that dies of ${signal} is exit code ${code}`, posix, async (t) => {
    const a = action(t, script(`process.kill(process.pid, '${signal}'); setTimeout(() => {}, 10_000)`));
    assert.deepEqual(await start(a, 'main.js').done, { code, signal: null, out: '' });
  });
}

for (const file of ['main.js', 'post.js']) {
  test(`${file}: no dist/ asks for a release`, async (t) => {
    const a = action(t, script(''));
    fs.rmSync(path.join(a.dir, 'dist'), { recursive: true });
    await refuses(start(a, file), 'cannot read dist/SHA256SUMS (ENOENT)', ...release);
  });
}

test('no SHA256SUMS asks for a release', async (t) => {
  const a = action(t, script('console.log("ran")'));
  fs.rmSync(a.sums);
  await refuses(start(a, 'main.js'), 'cannot read dist/SHA256SUMS (ENOENT)', ...release);
});

test('no binary asks for a release', async (t) => {
  const a = action(t, script(''));
  fs.rmSync(a.binary);
  await refuses(start(a, 'main.js'), `cannot read dist/${name} (ENOENT)`, ...release);
});

test('a binary that SHA256SUMS does not name is not run', async (t) => {
  const a = action(t, script('console.log("ran")'));
  for (const line of ['', `${a.digest}  ${name}.old`, `${a.digest}  x${name}`, `${a.digest.slice(1)}  ${name}`]) {
    fs.writeFileSync(a.sums, `${line}\n`);
    await refuses(start(a, 'main.js'), `dist/SHA256SUMS has no line for ${name}`, ...release);
  }
});

test('a binary with another digest is not run', async (t) => {
  const a = action(t, script('console.log("ran")'));
  fs.appendFileSync(a.binary, '\n');
  await refuses(start(a, 'main.js'), 'was not run', a.digest, 'Do not run it', 'Compare', 'report');
});

test('SHA256SUMS may mark a binary file with * and end its lines with CR LF', posix, async (t) => {
  const a = action(t, script('console.log("ran")'));
  fs.writeFileSync(a.sums, `${a.digest} *${name}\r\n`);
  assert.equal((await start(a, 'main.js').done).out, 'ran\n');
});

for (const [property, value] of [['platform', 'freebsd'], ['arch', 'riscv64']]) {
  test(`${property} ${value} is refused by name`, async (t) => {
    const a = action(t, script('console.log("ran")'));
    const preload = path.join(a.dir, 'preload.js');
    fs.writeFileSync(preload, `Object.defineProperty(process, '${property}', { value: '${value}' })`);
    await refuses(start(a, 'main.js', { node: ['--require', preload] }), value, 'linux, darwin and windows');
  });
}

test('a binary without its execute bit is explained', posix, async (t) => {
  const a = action(t, script('console.log("ran")'));
  fs.chmodSync(a.binary, 0o644);
  await refuses(start(a, 'main.js'), 'EACCES', 'execute bit', 'jfrog-token%0D%0A100%25');
});

test('a binary that cannot start is explained', async (t) => {
  const a = action(t, windows ? 'no executable' : '#!/no such interpreter\n');
  await refuses(start(a, 'main.js'), 'spawn');
});
