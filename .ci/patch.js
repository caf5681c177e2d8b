'use strict';
// Packs the binaries for macOS and Windows in dist/ as patches on that for Linux, for the commit of a release:
// node .ci/patch.js DIST. Needs Node 24.6 or later. launch/launch.js unpacks them, and checks what comes out.
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { constants: zstd, zstdCompress, zstdDecompressSync } = require('node:zlib');

// Node 22 has Zstandard, and ignores a dictionary.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 6)) {
  console.error(`.ci/patch.js needs Node 24.6 or later, and this is ${process.version}`);
  process.exit(1);
}

const dist = process.argv[2];
async function pack(name, goarch) {
  const binary = fs.readFileSync(path.join(dist, name));
  const dictionary = fs.readFileSync(path.join(dist, `jfrog-token-linux-${goarch}`));
  // Level 22 is no smaller than 19. The window holds both binaries.
  const params = {
    [zstd.ZSTD_c_compressionLevel]: 19,
    [zstd.ZSTD_c_windowLog]: 25,
    [zstd.ZSTD_c_enableLongDistanceMatching]: 1,
    [zstd.ZSTD_c_checksumFlag]: 1,
  };
  const patch = await promisify(zstdCompress)(binary, { dictionary, params });
  const again = zstdDecompressSync(patch, { dictionary, params: { [zstd.ZSTD_d_windowLogMax]: 25 } });
  if (!again.equals(binary)) throw new Error(`${name} does not come out of its patch`);
  fs.writeFileSync(path.join(dist, `${name}.patch`), patch);
  console.log(`${name}.patch: ${patch.length} bytes`);
}
for (const name of fs.readdirSync(dist)) {
  const goarch = /^jfrog-token-(?:darwin|windows)-(amd64|arm64)(?:\.exe)?$/.exec(name)?.[1];
  if (goarch) pack(name, goarch);
}
