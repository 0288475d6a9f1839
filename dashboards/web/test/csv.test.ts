import { expect, it } from 'vitest';
import { csv } from '../src/lib/csv';

it('quotes what needs quoting and keeps numbers as they are', () => {
  expect(csv(['name', 'value'], [['a,b', 1.5], ['say "hi"', -2], ['line\nbreak', null], ['轴承', true]])).toBe(
    '\uFEFFname,value\r\n"a,b",1.5\r\n"say ""hi""",-2\r\n"line\nbreak",\r\n轴承,true\r\n',
  );
});

it('disarms what a spreadsheet would run as a formula', () => {
  expect(csv(['payload'], [['=HYPERLINK("x")'], ['@cmd'], ['+1'], ['-1']])).toBe(
    '\uFEFFpayload\r\n"\'=HYPERLINK(""x"")"\r\n\'@cmd\r\n\'+1\r\n\'-1\r\n',
  );
});
