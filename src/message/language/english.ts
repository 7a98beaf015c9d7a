import type { Words } from './words.ts'

const whom = (recipients: number) => (recipients === 1 ? 'this recipient' : `these ${recipients} recipients`)
const plural = (unit: string) => (count: number) => `${count} ${unit}${count === 1 ? '' : 's'}`

export const ENGLISH: Words = {
  language: 'en',
  from: 'Mail delivery',
  subject: {
    failed: ['Not delivered', 'Your message was not delivered'],
    delayed: ['Delayed', 'Your message is delayed'],
    relayed: ['Passed on', 'Your message was passed on'],
    expanded: ['Passed on', 'Your message was passed on'],
  },
  thisIs: host => `This is the mail server ${host}.`,
  opening: {
    failed: recipients =>
      `I am sorry to say that your message could not be delivered to ${whom(recipients)}. We have stopped trying.`,
    delayed: recipients =>
      `I am sorry to say that your message has not reached ${whom(recipients)} yet. You need not send it again: we keep trying.`,
    relayed: recipients =>
      `Your message has been passed on to the mail server of ${whom(recipients)}, which has taken it.`,
    expanded: recipients => `Your message has been passed on to those for whom ${whom(recipients)} stands.`,
  },
  theMessage: 'The message:',
  giveThisNumber: postmaster => `If you ask your mail administrator (${postmaster}), give this number:`,
  tried: duration => `We have tried for ${duration}; this is what happened last.`,
  keepTrying: until => `We keep trying until ${until}.`,
  serverSaid: (server, when) => `The server ${server} said (${when}):`,
  weNoted: (server, when) =>
    server === null ? `Our server noted (${when}):` : `Our server noted of ${server} (${when}):`,
  days: plural('day'),
  hours: plural('hour'),
  minutes: plural('minute'),
  circumstances: {
    suppressed:
      'Mail to this address could not be delivered before, or its owner does not want it, so it was not sent again.',
    expanded:
      'The address stands for several others, and the message is on its way to them. You will hear of it again only if delivery to one of them fails.',
    'no report':
      'The server there does not report when a message reaches the mailbox. You will hear of it again only if delivery fails.',
    'no deadline':
      'The server there does not know of the time you set for delivery, and will not tell you when it is over.',
    trace: 'You asked for a report of each server that passes the message on.',
    overdue: 'The time you set for delivery is over.',
  },
  statuses: {
    '1.0': 'The server there does not accept this address. Check it for typing mistakes.',
    '1.1':
      'There is no such mailbox. Check the part before the @ for typing mistakes, or ask the person for the new address.',
    '1.2':
      'The domain, the part after the @, does not exist or has no mail server. Check it for typing mistakes.',
    '1.3': 'The address is not written as an email address must be. Check it for typing mistakes.',
    '1.4': 'The address could mean more than one mailbox there. Ask the person for the exact address.',
    '1.6': 'The mailbox has moved, and its new address is not known. Ask the person for it.',
    '1.7': 'The server there did not accept your own address as it was written.',
    '1.8':
      'The server there could not find the mail servers of your own domain. Tell your mail administrator.',
    '1.10':
      'The domain, the part after the @, has announced that it takes no mail at all. Check it for typing mistakes.',
    '2.0': 'The mailbox exists, but cannot take mail. Reach the person in another way.',
    '2.1': 'The mailbox has been disabled. Reach the person in another way.',
    '2.2': 'The mailbox is full. Try again later, or reach the person in another way.',
    '2.3': 'The message is larger than this mailbox allows. Send less, or share big files in another way.',
    '2.4': 'The address is a mailing list that could not be expanded there. Tell the owner of the list.',
    '3.0': 'The mail system there has a problem. Try again later.',
    '3.1': 'The mail system there has no space left. Try again later.',
    '3.2': 'The mail system there takes no mail at the moment. Try again later.',
    '3.3': 'The mail system there lacks something this message needs.',
    '3.4':
      'The message is larger than the mail system there allows. Send less, or share big files in another way.',
    '3.5': 'The mail system there is not set up for this domain. Tell its administrator.',
    '4.0': 'The mail servers of this domain could not be reached.',
    '4.1':
      'The mail servers of this domain did not answer. Check the part after the @ for typing mistakes, or try again later.',
    '4.2': 'The connection to the mail server there broke off every time.',
    '4.3':
      'The directory of domain names (DNS) gave no answer for this domain. Its administrator should look into it.',
    '4.4':
      'No way to a mail server of this domain could be found. Check the part after the @ for typing mistakes.',
    '4.5': 'The mail system there is overloaded. Try again later.',
    '4.6':
      'The message went in a circle: mail servers passed it on to each other. Tell your mail administrator.',
    '4.7': 'The message could not be delivered in the time set for it.',
    '5.0': 'The mail server there did not understand ours. Tell your mail administrator.',
    '5.1': 'The mail server there did not understand ours. Tell your mail administrator.',
    '5.2': 'The mail server there did not understand ours. Tell your mail administrator.',
    '5.3':
      'The message has more recipients than the server there takes at once. Send it to fewer people at a time.',
    '5.4': 'The mail server there did not understand ours. Tell your mail administrator.',
    '5.6': 'A line of the message is too long for the mail server there.',
    '6.0': 'The server there did not accept the content of the message.',
    '6.1': 'The server there does not accept this kind of content.',
    '6.3': 'The message needs a conversion that would break its signature, so it was not made.',
    '6.7':
      'The address or the message has letters beyond ASCII, and the mail server there cannot take those. Use an ASCII address of this person, if there is one.',
    '7.0': 'The server there refused the message for reasons of policy or security.',
    '7.1':
      'The server there does not accept mail from you for this mailbox. What it said, below, may tell the reason.',
    '7.2': 'You may not send to this mailing list. Ask its owner.',
    '7.4': 'The server there asks for a kind of security that ours could not give.',
    '7.5': 'The server there asks for a kind of security that ours could not give.',
    '7.7':
      'The server there found that the message had been changed on its way. Tell your mail administrator.',
    '7.8': 'The server there asks our server to log in. Tell your mail administrator.',
    '7.10': 'The message asked for encryption all the way, and the mail server there cannot give it.',
    '7.20': 'The server there found no valid DKIM signature on the message. Tell your mail administrator.',
    '7.21':
      'The server there did not accept the DKIM signature of the message. Tell your mail administrator.',
    '7.22': 'The server there found no DKIM signature of the domain in From. Tell your mail administrator.',
    '7.23':
      'The server there says that our server may not send for this domain (SPF). Tell your mail administrator.',
    '7.24':
      'The server there could not check whether we may send for this domain (SPF). Tell your mail administrator.',
    '7.25':
      'The server there does not accept our server: its address has no name. Tell your mail administrator.',
    '7.26':
      'The server there could not verify that the message comes from your domain. Tell your mail administrator.',
    '7.27': 'The server there saw that your own domain takes no mail. Tell your mail administrator.',
    '7.28':
      'The server there finds that too much mail of this kind comes from us. Tell your mail administrator.',
    '7.30': 'The message asked for encryption all the way, and the mail server there cannot give it.',
  },
  subjects: {
    '1': 'The server there did not accept an address. Check it for typing mistakes.',
    '2': 'The mailbox there could not take the message.',
    '3': 'The mail system there could not take the message.',
    '4': 'The message found no way to the mail server there.',
    '5': 'The mail server there did not understand ours. Tell your mail administrator.',
    '6': 'The server there did not accept the content of the message.',
    '7': 'The server there refused the message for reasons of policy or security.',
  },
  unknown: 'The server there did not take the message.',
}
