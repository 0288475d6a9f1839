import { describe, expect, it } from 'vitest';
import { COLUMNS, EXAMPLES, firstUses, headerOf, KINDS, mapping, missing, useOf, useText } from '../src/lib/history';

describe('the header of a file', () => {
  it.each([
    ['asset,at\nx,y', ['asset', 'at']],
    ['\uFEFFmachineID;datetime;failure\r\n1;2;3', ['machineID', 'datetime', 'failure']],
    ['a\tb', ['a', 'b']],
    ['"machine id","said ""so"""\n', ['machine id', 'said "so"']],
    ['\n\nasset\n', ['asset']],
    ['', []],
  ])('of %j is %j', (csv, header) => expect(headerOf(csv)).toEqual(header));
});

describe('a column of a file', () => {
  it('is taken for the column of its name, and nothing else is guessed', () => {
    expect(firstUses('failures', ['Asset', 'datetime', 'note'])).toEqual([{ as: 'asset' }, 'open', { as: 'note' }]);
    expect(missing('failures', firstUses('failures', ['Asset', 'datetime']))).toEqual(['at']);
  });
  it('is a fact where machines are told of', () => expect(firstUses('assets', ['asset', 'size'])).toEqual([{ as: 'asset' }, 'fact']));
  it('under another name is mapped, left out by name, or left to the server to complain about', () => {
    const header = ['machineID', 'at', 'cost', 'odd'];
    expect(mapping(header, [{ as: 'asset' }, { as: 'at' }, 'ignore', 'open'])).toEqual({ map: [['asset', 'machineID']], ignore: ['cost'] });
  });
  it.each([{ as: 'at' }, 'ignore', 'fact', 'open'] as const)('%j survives a choice', (use) => expect(useOf(useText(use))).toEqual(use));
});

it.each(KINDS)('the example of %s has every column it must have, and no open one', (kind) => {
  const uses = firstUses(kind, headerOf(EXAMPLES[kind]));
  expect(missing(kind, uses)).toEqual([]);
  expect(uses).not.toContain('open');
  expect(COLUMNS[kind].needed[0]).toBe('asset');
});
