/** Mail::DKIM (Perl; what SpamAssassin and amavis verify with) as a verifier, its DNS a table. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, temporaryFolder } from './program.ts'

const PROGRAM = `
use strict; use warnings;
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
my %records;
open my $table, '<', shift or die; while (<$table>) { chomp; my ($name, $text) = split / /, $_, 2; $records{$name} = $text }
{ no warnings 'redefine';
  *Mail::DKIM::DNS::query = sub {
    my ($name, $type) = @_;
    return () unless exists $records{$name};
    return Net::DNS::RR->new(owner => $name, type => 'TXT', txtdata => [ $records{$name} =~ /.{1,255}/g ]);
  };
}
for my $path (@ARGV) {
  open my $message, '<:raw', $path or die;
  my $verifier = Mail::DKIM::Verifier->new;
  $verifier->load($message);
  my ($signature) = grep { $_->domain eq 'example.com' } $verifier->signatures;
  my $result = $signature ? $signature->result : 'none';
  print $result eq 'pass' ? "pass\\n" : 'fail: ' . ($signature ? $signature->result_detail : 'no signature') . "\\n";
}
`

/** `pass`, or `fail: ` and why, for the signature of example.com. `records`: name → key record. */
export async function verifyWithMailDkim(
  messages: readonly Uint8Array[],
  records: Readonly<Record<string, string>>,
): Promise<string[]> {
  const folder = temporaryFolder('mail-dkim')
  try {
    const table = join(folder.path, 'records')
    writeFileSync(
      table,
      Object.entries(records)
        .map(([name, record]) => `${name} ${record}\n`)
        .join(''),
    )
    const paths = messages.map((message, i) => {
      const path = join(folder.path, `${i}.eml`)
      writeFileSync(path, message)
      return path
    })
    const { code, output } = await run('perl', ['-e', PROGRAM, table, ...paths])
    if (code !== 0) throw new Error(`Mail::DKIM: ${output}`)
    return output.trimEnd().split('\n')
  } finally {
    folder.remove()
  }
}
