// Compiles the message files into typed functions. The plug-in that reads them comes from
// node_modules, not from the network, so a build needs nothing but the lock file.
import { compile } from '@inlang/paraglide-js';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await compile({
  project: here('../project.inlang'),
  outdir: here('../src/paraglide'),
  // The page decides the language (URL, then memory, then browser) and tells the runtime.
  strategy: ['globalVariable', 'baseLocale'],
  outputStructure: 'locale-modules',
  emitTsDeclarations: true,
  emitReadme: false,
  isServer: 'false',
});
