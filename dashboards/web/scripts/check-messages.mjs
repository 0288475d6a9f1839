// Every language has every message, with the same inputs, and no message is unused.
// Paraglide falls back to English where a key is missing; a reader should never see that.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { locales, baseLocale } = JSON.parse(readFileSync(join(root, 'project.inlang/settings.json'), 'utf8'));
const read = (locale) => JSON.parse(readFileSync(join(root, `messages/${locale}.json`), 'utf8'));
const keys = (messages) => Object.keys(messages).filter((key) => key !== '$schema');

/** Names in braces, over all variants of a message. */
function inputs(message) {
  const text = typeof message === 'string' ? message : JSON.stringify(message.map((part) => part.match));
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((hit) => hit[1]))].sort().join(', ');
}

/** Texts of a message that are empty. */
function empty(message) {
  const texts = typeof message === 'string' ? [message] : message.flatMap((part) => Object.values(part.match));
  return texts.some((text) => text.trim() === '');
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'paraglide') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : /\.(svelte|ts)$/.test(entry.name) ? [readFileSync(path, 'utf8')] : [];
  });
}

const base = read(baseLocale);
const problems = [];
for (const locale of locales) {
  const messages = read(locale);
  for (const key of keys(base)) if (!(key in messages)) problems.push(`${locale}: ${key} is missing`);
  for (const key of keys(messages)) {
    if (!(key in base)) problems.push(`${locale}: ${key} is not in ${baseLocale}`);
    else if (locale !== baseLocale && typeof messages[key] === 'string' && inputs(messages[key]) !== inputs(base[key]))
      problems.push(`${locale}: ${key} takes (${inputs(messages[key])}), ${baseLocale} takes (${inputs(base[key])})`);
    if (empty(messages[key])) problems.push(`${locale}: ${key} is empty`);
  }
}
const code = sources(join(root, 'src')).join('\n');
for (const key of keys(base)) if (!new RegExp(`\\b${key}\\b`).test(code)) problems.push(`${key} is used nowhere`);

if (problems.length > 0) {
  console.error(`messages: ${problems.length} problem(s)\n  ${problems.join('\n  ')}`);
  process.exit(1);
}
console.log(`messages: ${keys(base).length} keys in ${locales.join(', ')}`);
