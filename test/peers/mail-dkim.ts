/** Mail::DKIM (Perl; what SpamAssassin and amavis verify with) as a verifier, its DNS a table. */

import { type KeyRecords, parseVerdicts, type Verdicts, wholeVerdict, withFiles } from './dkim-verdict.ts'
import { run } from './program.ts'

const PROGRAM = `
use strict; use warnings; use JSON::PP;
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
  my @verdicts;
  for ($verifier->signatures) {
    my $selector = $_->selector;
    next unless exists $records{$selector . '._domainkey.' . $_->domain};
    push @verdicts, [$selector, $_->result eq 'pass' ? 'pass' : 'fail: ' . $_->result_detail];
  }
  print encode_json(\\@verdicts), "\\n";
}
`

/** For each message `pass`, or `fail: ` and why. */
export async function verifyWithMailDkim(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<string[]> {
  return (await verdictsOfMailDkim(messages, records)).map(wholeVerdict)
}

/** Signature by signature. One process for all messages. */
export function verdictsOfMailDkim(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<Verdicts[]> {
  return withFiles(messages, records, async (paths, table) => {
    const { code, output } = await run('perl', ['-e', PROGRAM, table, ...paths])
    if (code !== 0) throw new Error(`Mail::DKIM: ${output}`)
    return parseVerdicts(output)
  })
}
