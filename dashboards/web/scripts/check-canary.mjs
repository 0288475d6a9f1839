// Proves that the type check can fail: svelte-check has once reported nothing at all on a new
// compiler, and a check that cannot fail checks nothing. A copy of the configuration is run
// over one component with one deliberate type error.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(root, '.canary-'));
try {
  writeFileSync(join(folder, 'Canary.svelte'), '<script lang="ts">\n  const rows: number = "many";\n</script>\n\n{rows}\n');
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.json'), include: [join(folder, '*.svelte')] }),
  );
  const run = spawnSync(
    process.execPath,
    [join(root, 'node_modules/svelte-check/bin/svelte-check'), '--workspace', folder, '--tsconfig', join(folder, 'tsconfig.json'), '--output', 'machine'],
    { encoding: 'utf8' },
  );
  if (run.status === 0 || !run.stdout.includes("Type 'string' is not assignable to type 'number'")) {
    console.error(`canary: svelte-check did not find a deliberate type error\n${run.stdout}${run.stderr}`);
    process.exit(1);
  }
  console.log('canary: svelte-check finds a deliberate type error');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
