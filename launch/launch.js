'use strict';
// Starts the Go binary of this release. A runner takes only Node or a container as an action's entry point:
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runs

const { spawn } = require('node:child_process');
const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const { constants } = require('node:os');
const path = require('node:path');

const dist = path.join(__dirname, '..', 'dist');
const goos = { linux: 'linux', darwin: 'darwin', win32: 'windows' }[process.platform];
const goarch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
const windows = process.platform === 'win32';

module.exports = function launch(args) {
  // Set before the child exists: a signal with no handler ends Node at once and leaves the child running.
  // The runner signals this process alone, never its children:
  // https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs
  // On Windows it sends a console event, which reaches the child as well. There kill() would end the child before
  // it can clean up (https://nodejs.org/api/child_process.html#subprocesskillsignal), so Node only stays alive.
  let child;
  for (const signal of windows ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    process.on(signal, () => windows || child?.kill(signal));
  }

  try {
    // spawnSync would block the handlers above. A shell would lose INPUT_* names with a dash: dash and busybox do that.
    // Nothing is ever written to the pipe on standard input. The system closes it when this process ends, even by
    // SIGKILL, which no handler sees: its end tells the binary that nobody will read what it saves and outputs. On Windows
    // Node takes the binary along; what it saved is for the post step there as well.
    child = spawn(verifiedBinary(), args, { stdio: ['pipe', 'inherit', 'inherit'] });
  } catch (err) {
    return fail(err.message);
  }
  // Without a handler, an error on the pipe would end Node and orphan the binary. There is no pipe if spawn ran out of
  // file descriptors: https://github.com/nodejs/node/blob/v24.x/lib/internal/child_process.js
  child.stdin?.on('error', () => {});
  child.on('error', (err) => fail(`${err.message}. The binary matches its digest but this machine does not start it: `
    + 'EACCES means that it lost its execute bit (check the action out with git, not from an archive) '
    + 'or lies on a disk mounted noexec.'));
  child.on('exit', (code, signal) => { process.exitCode = signal ? 128 + constants.signals[signal] : code; });
};

// The digest finds a checkout that is damaged, incomplete or of another release. It cannot stop somebody who can write
// to the action's directory, before or after the check: they can change SHA256SUMS or this file as well.
function verifiedBinary() {
  if (!goos || !goarch) {
    throw new Error(`there is no jfrog-token for ${process.platform}/${process.arch}: `
      + 'a release holds linux, darwin and windows, for x64 and arm64 each. Run this job on one of them.');
  }
  const name = `jfrog-token-${goos}-${goarch}${windows ? '.exe' : ''}`;
  const sums = read('SHA256SUMS').toString().split(/\r?\n/).map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line));
  const want = sums.find((sum) => sum?.[2] === name)?.[1];
  if (!want) {
    throw new Error(`dist/SHA256SUMS has no line for ${name}. ${useRelease}`);
  }
  const binary = path.join(dist, name);
  if (!fs.existsSync(binary) && fs.existsSync(`${binary}.patch`)) unpack(binary, want);
  const got = digest(name);
  if (got !== want) throw differs(`dist/${name}`, got, want);
  return binary;
}

function differs(what, got, want) {
  return new Error(`${what} is not the file that dist/SHA256SUMS names, and was not run: its SHA-256 is ${got}, `
    + `not ${want}. Do not run it by hand. Compare both with the assets of the release, and report the difference: `
    + 'https://github.com/ephemeral-ci/jfrog-token/security');
}

// What differs from the binary for Linux is a tenth of a binary, and every job downloads all of them: so in a release
// those for macOS and Windows are Zstandard frames that have it as their dictionary (docs/performance.md).
function unpack(binary, want) {
  const name = path.basename(binary);
  const dictionary = read(`jfrog-token-linux-${goarch}`);
  const patch = read(`${name}.patch`);
  const { constants: zstd, zstdDecompressSync } = require('node:zlib');
  let bytes;
  try {
    const params = { [zstd.ZSTD_d_windowLogMax]: 25 };
    bytes = zstdDecompressSync(patch, { dictionary, params, maxOutputLength: 64 << 20 });
  } catch (err) {
    throw new Error(`cannot unpack dist/${name}.patch with Node ${process.version} (${err.message}). `
      + 'It takes Node 24.6 or later, which the runner has from version 2.329.0 on.');
  }
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got !== want) throw differs(`what dist/${name}.patch unpacks to`, got, want);
  // Another job may do the same here: neither sees half a file.
  const own = `${binary}.${randomUUID()}`;
  try {
    fs.writeFileSync(own, bytes, { mode: 0o755, flag: 'wx' });
    rename(own, binary);
  } catch (err) {
    fs.rmSync(own, { force: true });
    throw new Error(`cannot write dist/${name} (${err.code})`);
  }
}

// On Windows a virus scanner holds a new program for a moment, and a program that runs cannot be replaced:
// https://github.com/isaacs/node-graceful-fs/issues/119
function rename(from, to) {
  for (let wait = 20; ; wait *= 2) {
    try {
      return fs.renameSync(from, to);
    } catch (err) {
      if (!windows || wait > 2000) throw err;
      if (fs.existsSync(to)) return fs.rmSync(from, { force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
    }
  }
}

const useRelease = 'dist/ is complete only in a release: pin a release tag (uses: ephemeral-ci/jfrog-token@v1) '
  + "or a release's commit SHA, not a branch or one of its commits.";

function read(name) {
  return reading(name, (file) => fs.readFileSync(file));
}

// In pieces: to get memory for 7 MB takes Node three times as long as to hash them.
function digest(name) {
  return reading(name, (file) => {
    const hash = createHash('sha256');
    const fd = fs.openSync(file);
    const piece = Buffer.allocUnsafe(1 << 16);
    for (let n; (n = fs.readSync(fd, piece)) > 0;) hash.update(piece.subarray(0, n));
    fs.closeSync(fd);
    return hash.digest('hex');
  });
}

function reading(name, f) {
  try {
    return f(path.join(dist, name));
  } catch (err) {
    throw new Error(`cannot read dist/${name} (${err.code}). ${useRelease}`);
  }
}

// Escaped as in https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
function fail(message) {
  const data = message.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  process.stdout.write(`::error::jfrog-token: ${data}\n`);
  process.exitCode = 1;
}
