import type { Words } from './words.ts'

const whom = (recipients: number) => (recipients === 1 ? 'diesen Empfänger' : `diese ${recipients} Empfänger`)
const plural = (one: string, many: string) => (count: number) => `${count} ${count === 1 ? one : many}`
const ADMIN = 'Bitte wenden Sie sich an Ihren Mail-Administrator.'
const TYPO = 'Bitte prüfen Sie sie auf Tippfehler.'
const DOMAIN_TYPO = 'Bitte prüfen Sie den Teil nach dem @ auf Tippfehler.'
const OTHER_WAY = 'Bitte erreichen Sie die Person auf anderem Weg.'
const LATER = 'Bitte versuchen Sie es später noch einmal.'
const MISUNDERSTOOD = `Der dortige Mailserver hat unseren nicht verstanden. ${ADMIN}`
const SMALLER = 'Bitte senden Sie weniger, oder geben Sie große Dateien auf anderem Weg weiter.'

export const GERMAN: Words = {
  language: 'de',
  from: 'Mailzustellung',
  subject: {
    failed: ['Nicht zugestellt', 'Ihre Nachricht wurde nicht zugestellt'],
    delayed: ['Verzögert', 'Ihre Nachricht verzögert sich'],
    relayed: ['Weitergegeben', 'Ihre Nachricht wurde weitergegeben'],
    expanded: ['Weitergegeben', 'Ihre Nachricht wurde weitergegeben'],
  },
  thisIs: host => `Dies ist der Mailserver ${host}.`,
  opening: {
    failed: recipients =>
      `Leider konnte Ihre Nachricht an ${whom(recipients)} nicht zugestellt werden. Wir versuchen es nicht weiter.`,
    delayed: recipients =>
      `Leider hat Ihre Nachricht ${whom(recipients)} noch nicht erreicht. Sie brauchen sie nicht noch einmal zu senden: Wir versuchen es weiter.`,
    relayed: recipients =>
      `Ihre Nachricht an ${whom(recipients)} wurde an den dortigen Mailserver weitergegeben, der sie angenommen hat.`,
    expanded: recipients =>
      `Ihre Nachricht wurde an die weitergegeben, für die ${recipients === 1 ? 'dieser Empfänger steht' : `diese ${recipients} Empfänger stehen`}.`,
  },
  theMessage: 'Die Nachricht:',
  giveThisNumber: postmaster =>
    `Wenn Sie Ihren Mail-Administrator fragen (${postmaster}), nennen Sie bitte diese Nummer:`,
  tried: duration => `Wir haben es ${duration} lang versucht; dies war das letzte Ergebnis.`,
  keepTrying: until => `Wir versuchen es weiter bis ${until}.`,
  serverSaid: (server, when) => `Der Server ${server} antwortete (${when}):`,
  weNoted: (server, when) =>
    server === null
      ? `Unser Server stellte fest (${when}):`
      : `Unser Server stellte zu ${server} fest (${when}):`,
  days: plural('Tag', 'Tage'),
  hours: plural('Stunde', 'Stunden'),
  minutes: plural('Minute', 'Minuten'),
  circumstances: {
    suppressed:
      'Mail an diese Adresse war schon einmal unzustellbar, oder der Inhaber wünscht keine; sie wurde deshalb nicht noch einmal gesendet.',
    expanded:
      'Die Adresse steht für mehrere andere, und die Nachricht ist zu ihnen unterwegs. Sie hören nur dann noch einmal davon, wenn die Zustellung an eine von ihnen scheitert.',
    'no report':
      'Der dortige Server meldet nicht, wann eine Nachricht das Postfach erreicht. Sie hören nur dann noch einmal davon, wenn die Zustellung scheitert.',
    'no deadline':
      'Der dortige Server kennt die Frist nicht, die Sie für die Zustellung gesetzt haben, und wird Ihnen nicht sagen, wenn sie abläuft.',
    trace: 'Sie haben um einen Bericht von jedem Server gebeten, der die Nachricht weitergibt.',
    overdue: 'Die Frist, die Sie für die Zustellung gesetzt haben, ist abgelaufen.',
  },
  statuses: {
    '1.0': `Der dortige Server nimmt diese Adresse nicht an. ${TYPO}`,
    '1.1':
      'Dieses Postfach gibt es nicht. Bitte prüfen Sie den Teil vor dem @ auf Tippfehler, oder fragen Sie die Person nach der neuen Adresse.',
    '1.2': `Die Domain, der Teil nach dem @, gibt es nicht, oder sie hat keinen Mailserver. ${DOMAIN_TYPO}`,
    '1.3': `Die Adresse ist nicht so geschrieben, wie eine E-Mail-Adresse sein muss. ${TYPO}`,
    '1.4':
      'Die Adresse könnte dort mehr als ein Postfach meinen. Bitte fragen Sie die Person nach der genauen.',
    '1.6':
      'Das Postfach ist umgezogen, und die neue Adresse ist nicht bekannt. Bitte fragen Sie die Person danach.',
    '1.7': 'Der dortige Server hat Ihre eigene Adresse so, wie sie geschrieben war, nicht angenommen.',
    '1.8': `Der dortige Server fand die Mailserver Ihrer eigenen Domain nicht. ${ADMIN}`,
    '1.10': `Die Domain, der Teil nach dem @, hat bekannt gegeben, dass sie keine Mail annimmt. ${DOMAIN_TYPO}`,
    '2.0': `Das Postfach gibt es, aber es kann keine Mail aufnehmen. ${OTHER_WAY}`,
    '2.1': `Das Postfach wurde stillgelegt. ${OTHER_WAY}`,
    '2.2': `Das Postfach ist voll. ${LATER}`,
    '2.3': `Die Nachricht ist größer, als dieses Postfach erlaubt. ${SMALLER}`,
    '2.4':
      'Die Adresse ist eine Liste, die dort nicht aufgelöst werden konnte. Bitte sagen Sie es ihrem Inhaber.',
    '3.0': `Das dortige Mailsystem hat eine Störung. ${LATER}`,
    '3.1': `Das dortige Mailsystem hat keinen Platz mehr. ${LATER}`,
    '3.2': `Das dortige Mailsystem nimmt im Augenblick keine Mail an. ${LATER}`,
    '3.3': 'Dem dortigen Mailsystem fehlt etwas, das diese Nachricht braucht.',
    '3.4': `Die Nachricht ist größer, als das dortige Mailsystem erlaubt. ${SMALLER}`,
    '3.5':
      'Das dortige Mailsystem ist für diese Domain nicht eingerichtet. Bitte sagen Sie es seinem Administrator.',
    '4.0': 'Die Mailserver dieser Domain waren nicht zu erreichen.',
    '4.1': `Die Mailserver dieser Domain haben nicht geantwortet. ${DOMAIN_TYPO}`,
    '4.2': 'Die Verbindung zum dortigen Mailserver brach jedes Mal ab.',
    '4.3':
      'Das Verzeichnis der Domainnamen (DNS) gab für diese Domain keine Antwort. Ihr Administrator sollte das prüfen.',
    '4.4': `Es war kein Weg zu einem Mailserver dieser Domain zu finden. ${DOMAIN_TYPO}`,
    '4.5': `Das dortige Mailsystem ist überlastet. ${LATER}`,
    '4.6': `Die Nachricht lief im Kreis: Mailserver gaben sie einander weiter. ${ADMIN}`,
    '4.7': 'Die Nachricht konnte in der Zeit, die für sie gesetzt war, nicht zugestellt werden.',
    '5.0': MISUNDERSTOOD,
    '5.1': MISUNDERSTOOD,
    '5.2': MISUNDERSTOOD,
    '5.3':
      'Die Nachricht hat mehr Empfänger, als der dortige Server auf einmal nimmt. Bitte senden Sie sie an weniger.',
    '5.4': MISUNDERSTOOD,
    '5.6': 'Eine Zeile der Nachricht ist zu lang für den dortigen Mailserver.',
    '6.0': 'Der dortige Server hat den Inhalt der Nachricht nicht angenommen.',
    '6.1': 'Der dortige Server nimmt Inhalte dieser Art nicht an.',
    '6.3':
      'Die Nachricht müsste umgewandelt werden; das hätte ihre Signatur zerstört und wurde deshalb nicht getan.',
    '6.7':
      'Adresse oder Nachricht enthalten Buchstaben außerhalb von ASCII, die der dortige Mailserver nicht nehmen kann. Bitte verwenden Sie eine ASCII-Adresse der Person, wenn es eine gibt.',
    '7.0': 'Der dortige Server hat die Nachricht aus Gründen seiner Regeln oder der Sicherheit abgelehnt.',
    '7.1':
      'Der dortige Server nimmt für dieses Postfach keine Mail von Ihnen an. Was er gesagt hat, steht unten und nennt vielleicht den Grund.',
    '7.2': 'Sie dürfen an diese Liste nicht senden. Bitte fragen Sie ihren Inhaber.',
    '7.4': 'Der dortige Server verlangt eine Art von Sicherheit, die unserer nicht geben konnte.',
    '7.5': 'Der dortige Server verlangt eine Art von Sicherheit, die unserer nicht geben konnte.',
    '7.7': `Der dortige Server fand, dass die Nachricht unterwegs verändert wurde. ${ADMIN}`,
    '7.8': `Der dortige Server verlangt, dass unserer sich anmeldet. ${ADMIN}`,
    '7.10':
      'Die Nachricht verlangt Verschlüsselung auf dem ganzen Weg, und der dortige Mailserver kann sie nicht geben.',
    '7.20': `Der dortige Server fand keine gültige DKIM-Signatur an der Nachricht. ${ADMIN}`,
    '7.21': `Der dortige Server hat die DKIM-Signatur der Nachricht nicht angenommen. ${ADMIN}`,
    '7.22': `Der dortige Server fand keine DKIM-Signatur der Domain in From. ${ADMIN}`,
    '7.23': `Der dortige Server sagt, unser Server dürfe für diese Domain nicht senden (SPF). ${ADMIN}`,
    '7.24': `Der dortige Server konnte nicht prüfen, ob wir für diese Domain senden dürfen (SPF). ${ADMIN}`,
    '7.25': `Der dortige Server nimmt unseren nicht an: Seine Adresse hat keinen Namen. ${ADMIN}`,
    '7.26': `Der dortige Server konnte nicht prüfen, dass die Nachricht von Ihrer Domain kommt. ${ADMIN}`,
    '7.27': `Der dortige Server sah, dass Ihre eigene Domain keine Mail annimmt. ${ADMIN}`,
    '7.28': `Der dortige Server findet, dass zu viel Mail dieser Art von uns kommt. ${ADMIN}`,
    '7.30':
      'Die Nachricht verlangt Verschlüsselung auf dem ganzen Weg, und der dortige Mailserver kann sie nicht geben.',
  },
  subjects: {
    '1': `Der dortige Server hat eine Adresse nicht angenommen. ${TYPO}`,
    '2': 'Das dortige Postfach konnte die Nachricht nicht aufnehmen.',
    '3': 'Das dortige Mailsystem konnte die Nachricht nicht nehmen.',
    '4': 'Die Nachricht fand keinen Weg zum dortigen Mailserver.',
    '5': MISUNDERSTOOD,
    '6': 'Der dortige Server hat den Inhalt der Nachricht nicht angenommen.',
    '7': 'Der dortige Server hat die Nachricht aus Gründen seiner Regeln oder der Sicherheit abgelehnt.',
  },
  unknown: 'Der dortige Server hat die Nachricht nicht angenommen.',
}
