'use strict';
// Each test makes an action's directory of its own: launch/ as it is here, and a dist/ whose "binary" is a script.

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

// What a release holds for macOS: a patch on the binary for Linux. These tests run the launcher as if on macOS, where the
// "binary" is a script as well.
const zlib = require('node:zlib');
const [major, minor] = process.versions.node.split('.').map(Number);
const dictionaries = major > 24 || (major === 24 && minor >= 6);
const patches = { skip: (windows && posix.skip) || (!dictionaries && 'this Node has no dictionaries for Zstandard') };
function patched(t, content) {
  const a = action(t, content);
  const base = Buffer.from('the binary for Linux, more or less the same\n'.repeat(1000));
  fs.renameSync(a.binary, path.join(a.dir, 'unpatched'));
  fs.writeFileSync(path.join(a.dir, 'dist', `jfrog-token-linux-${goarch}`), base);
  const binary = path.join(a.dir, 'dist', `jfrog-token-darwin-${goarch}`);
  fs.writeFileSync(a.sums, `${a.digest}  ${path.basename(binary)}\n`);
  const pack = zlib.zstdCompressSync ?? ((bytes) => bytes);
  fs.writeFileSync(`${binary}.patch`, pack(Buffer.from(content), { dictionary: base }));
  const preload = path.join(a.dir, 'preload.js');
  fs.writeFileSync(preload, "Object.defineProperty(process, 'platform', { value: 'darwin' })");
  return { ...a, binary, node: ['--require', preload] };
}

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

test('main passes action main, post passes action post', posix, async (t) => {
  const a = action(t, script('console.log(JSON.stringify(process.argv.slice(2)))'));
  assert.deepEqual(await start(a, 'main.js').done, { code: 0, signal: null, out: '["action","main"]\n' });
  assert.deepEqual(await start(a, 'post.js').done, { code: 0, signal: null, out: '["action","post"]\n' });
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

test('both outputs and the exit code pass through', posix, async (t) => {
  const a = action(t, script('process.stdout.write("out"); process.stderr.write("err"); process.exitCode = 42'));
  const { code, out } = await start(a, 'main.js').done;
  assert.equal(code, 42);
  assert.ok(['outerr', 'errout'].includes(out), out);
});

// "node action main" runs action.js. Homebrew's Node finds its libraries relative to itself, so a copy does not start.
const copies = { skip: process.platform === 'darwin' && 'a copied Node may not start' };
test('a native executable starts', copies, async (t) => {
  const a = action(t, fs.readFileSync(process.execPath));
  fs.writeFileSync(path.join(a.dir, 'action.js'), `
    console.log(process.argv[2], process.env['INPUT_OIDC-PROVIDER-NAME']);
    process.exitCode = 42;`);
  const { code, out } = await start(a, 'main.js', { env: { 'INPUT_OIDC-PROVIDER-NAME': 'github' } }).done;
  assert.deepEqual({ code, out }, { code: 42, out: 'main github\n' });
});

// A script that prints what arrives on its standard input, and calls ended() at its end.
const reader = (body) => script(`
  const { writeFileSync } = require('node:fs');
  process.stdin.on('data', (data) => console.log('read ' + data)).on('end', () => ended());
  ${body}
  console.log('ready');`);

test('standard input is open and empty as long as the launcher lives', posix, async (t) => {
  const a = action(t, reader(`
    const ended = () => console.log('ended');
    setTimeout(() => process.exit(), 500);`));
  const child = start(a, 'main.js', { stdin: 'for the launcher' });
  assert.deepEqual(await child.done, { code: 0, signal: null, out: 'ready\n' });
});

for (const file of ['main.js', 'post.js']) {
  test(`${file}: standard input ends when the launcher is killed`, posix, async (t) => {
    const a = action(t, reader(`
      const ended = () => { writeFileSync('ended', ''); process.exit(); };
      setTimeout(() => process.exit(), 10_000);`));
    const child = start(a, file);
    await child.prints('ready');
    const killed = Date.now();
    child.kill('SIGKILL');
    assert.equal((await child.done).signal, 'SIGKILL'); // after the script too, which holds the same outputs
    assert.ok(Date.now() - killed < 1000, `the script ran on for ${Date.now() - killed} ms`);
    assert.ok(fs.existsSync(path.join(a.dir, 'ended')));
  });
}

test('an error of the pipe does not end the launcher', posix, async (t) => {
  const a = action(t, script('setTimeout(() => process.exit(3), 300)'));
  const preload = path.join(a.dir, 'preload.js');
  fs.writeFileSync(preload, `
    const process = require('node:child_process');
    const { spawn } = process;
    process.spawn = (...args) => {
      const child = spawn(...args);
      setImmediate(() => child.stdin.emit('error', new Error('write EPIPE')));
      return child;
    };`);
  const child = start(a, 'main.js', { node: ['--require', preload] });
  assert.deepEqual(await child.done, { code: 3, signal: null, out: '' });
});

test('a binary that closes its standard input is awaited', posix, async (t) => {
  const a = action(t, script('require("node:fs").closeSync(0); setTimeout(() => process.exit(3), 300)'));
  assert.deepEqual(await start(a, 'main.js').done, { code: 3, signal: null, out: '' });
});

test('a process that the binary leaves behind with its standard input keeps nobody waiting', posix, async (t) => {
  const a = action(t, script(`
    const { spawn } = require('node:child_process');
    spawn('sleep', ['5'], { stdio: ['inherit', 'ignore', 'ignore'], detached: true }).unref();
    process.exit(3);`));
  const began = Date.now();
  assert.deepEqual(await start(a, 'main.js').done, { code: 3, signal: null, out: '' });
  assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
});

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129], ['SIGQUIT', 131]]) {
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

for (const [signal, code] of [['SIGKILL', 137], ['SIGTERM', 143], ['SIGQUIT', 131], ['SIGABRT', 134]]) {
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

test('a patched binary is unpacked once, and runs', patches, async (t) => {
  const a = patched(t, script('console.log(process.argv[3])'));
  assert.deepEqual(await start(a, 'main.js', a).done, { code: 0, signal: null, out: 'main\n' });
  assert.deepEqual(fs.readdirSync(path.dirname(a.binary)).length, 4, 'SHA256SUMS, base, patch and binary');
  fs.rmSync(`${a.binary}.patch`);
  assert.deepEqual(await start(a, 'post.js', a).done, { code: 0, signal: null, out: 'post\n' });
});

test('two jobs may unpack at once', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  const all = await Promise.all(Array.from({ length: 6 }, () => start(a, 'main.js', a).done));
  for (const { code, out } of all) assert.deepEqual({ code, out }, { code: 0, out: 'ran\n' });
});

test('what was unpacked is not run if it has another digest', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  fs.writeFileSync(a.sums, fs.readFileSync(a.sums).toString().replace(a.digest, '0'.repeat(64)));
  await refuses(start(a, 'main.js', a), 'unpacks to', 'was not run', a.digest);
  assert.ok(!fs.existsSync(a.binary), 'it stays in memory');
});

test('a patch that unpacks to too much is refused', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  fs.writeFileSync(`${a.binary}.patch`, zlib.zstdCompressSync(Buffer.alloc(65 << 20)));
  await refuses(start(a, 'main.js', a), 'cannot unpack');
  assert.ok(!fs.existsSync(a.binary));
});

test('a binary that was unpacked and then changed is not run', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  await start(a, 'main.js', a).done;
  fs.appendFileSync(a.binary, '\n');
  await refuses(start(a, 'post.js', a), 'was not run');
});

test('a damaged patch is explained', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  fs.truncateSync(`${a.binary}.patch`, 20);
  await refuses(start(a, 'main.js', a), 'cannot unpack', process.version, '2.329.0');
  assert.ok(!fs.existsSync(a.binary));
});

test('a patch on another base is not run', patches, async (t) => {
  const a = patched(t, script('console.log("ran")\n' + '// the binary for Linux, more or less the same\n'.repeat(1000)));
  const base = path.join(a.dir, 'dist', `jfrog-token-linux-${goarch}`);
  fs.writeFileSync(base, fs.readFileSync(base).map((byte) => byte ^ 1));
  const { code, out } = await start(a, 'main.js', a).done;
  assert.equal(code, 1, out);
  assert.doesNotMatch(out, /^ran$/m);
});

const old = { skip: (windows && posix.skip) || (dictionaries && 'this Node is new enough') };
test('a Node that cannot unpack is explained', old, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  await refuses(start(a, 'main.js', a), 'cannot unpack', process.version, 'Node 24.6 or later');
});

test('a directory that cannot be written to is explained', patches, async (t) => {
  const a = patched(t, script('console.log("ran")'));
  fs.writeFileSync(path.join(a.dir, 'preload.js'), `
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    require('node:fs').writeFileSync = () => { throw Object.assign(new Error(), { code: 'EROFS' }); };`);
  await refuses(start(a, 'main.js', a), 'cannot write', 'EROFS');
});
