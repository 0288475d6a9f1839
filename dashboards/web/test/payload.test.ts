import { describe, expect, test } from 'vitest';
import { bytesOf, hexDump, prettyJson, viewsOf } from '../src/lib/payload';

describe('a payload', () => {
  test('is shown byte by byte, sixteen a row', () => {
    const bytes = bytesOf('{"a":1}\u00b0 and so on', undefined);
    expect(hexDump(bytes).split('\n')).toEqual([
      '00000000  7b 22 61 22 3a 31 7d c2  b0 20 61 6e 64 20 73 6f  {"a":1}.. and so',
      '00000010  20 6f 6e                                           on',
    ]);
    expect(hexDump(new Uint8Array(100), 16).split('\n')).toHaveLength(1);
    expect(hexDump(new Uint8Array())).toBe('');
  });

  test('is decoded when it is binary', () => {
    expect([...bytesOf('\ufffd\u0000', '/wA=')]).toEqual([255, 0]);
  });

  test('is JSON only when it is an object or an array', () => {
    expect(prettyJson('{"b":[1,2]}')).toBe('{\n  "b": [\n    1,\n    2\n  ]\n}');
    for (const text of ['61.2', '"a"', 'null', '{"a":1,,}', '']) expect(prettyJson(text)).toBeNull();
  });

  test('offers the views that make sense, the best one first', () => {
    expect(viewsOf('[1]', undefined)).toEqual(['json', 'text', 'hex']);
    expect(viewsOf('a,b', undefined)).toEqual(['text', 'hex']);
    expect(viewsOf('\ufffd', '/w==')).toEqual(['hex', 'text']);
  });
});
