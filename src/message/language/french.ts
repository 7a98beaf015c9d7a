import type { Words } from './words.ts'

const whom = (recipients: number) =>
  recipients === 1 ? 'ce destinataire' : `ces ${recipients} destinataires`
const plural = (unit: string) => (count: number) => `${count} ${unit}${count === 1 ? '' : 's'}`
const ADMIN = 'Signalez-le à votre administrateur de messagerie.'
const TYPO = "Vérifiez qu'elle ne contient pas de faute de frappe."
const DOMAIN_TYPO = 'Vérifiez que la partie après le @ ne contient pas de faute de frappe.'
const OTHER_WAY = 'Joignez la personne par un autre moyen.'
const LATER = 'Réessayez plus tard.'
const MISUNDERSTOOD = `Le serveur de messagerie distant n'a pas compris le nôtre. ${ADMIN}`
const SMALLER = 'Envoyez moins, ou transmettez les gros fichiers par un autre moyen.'

export const FRENCH: Words = {
  language: 'fr',
  from: 'Distribution du courrier',
  subject: {
    failed: ['Non distribué', "Votre message n'a pas été distribué"],
    delayed: ['Retardé', 'Votre message est retardé'],
    relayed: ['Transmis', 'Votre message a été transmis'],
    expanded: ['Transmis', 'Votre message a été transmis'],
  },
  thisIs: host => `Ici le serveur de messagerie ${host}.`,
  opening: {
    failed: recipients =>
      `Votre message n'a malheureusement pas pu être distribué à ${whom(recipients)}. Nous avons cessé d'essayer.`,
    delayed: recipients =>
      `Votre message n'a malheureusement pas encore atteint ${whom(recipients)}. Il est inutile de le renvoyer : nous continuons d'essayer.`,
    relayed: recipients =>
      `Votre message a été transmis au serveur de messagerie de ${whom(recipients)}, qui l'a accepté.`,
    expanded: recipients =>
      `Votre message a été transmis à ceux que ${recipients === 1 ? 'ce destinataire représente' : `ces ${recipients} destinataires représentent`}.`,
  },
  theMessage: 'Le message :',
  giveThisNumber: postmaster =>
    `Si vous interrogez votre administrateur de messagerie (${postmaster}), donnez-lui ce numéro :`,
  tried: duration => `Nous avons essayé pendant ${duration} ; voici ce qui s'est passé en dernier.`,
  keepTrying: until => `Nous essayons jusqu'au ${until}.`,
  serverSaid: (server, when) => `Le serveur ${server} a répondu (${when}) :`,
  weNoted: (server, when) =>
    server === null
      ? `Notre serveur a constaté (${when}) :`
      : `Notre serveur a constaté à propos de ${server} (${when}) :`,
  days: plural('jour'),
  hours: plural('heure'),
  minutes: plural('minute'),
  circumstances: {
    suppressed:
      "Le courrier pour cette adresse n'a pas pu être distribué auparavant, ou son titulaire n'en veut pas ; il n'a donc pas été renvoyé.",
    expanded:
      "Cette adresse en représente plusieurs autres, et le message est en route vers elles. Vous n'en entendrez parler de nouveau que si la distribution à l'une d'elles échoue.",
    'no report':
      "Le serveur distant ne signale pas l'arrivée d'un message dans la boîte. Vous n'en entendrez parler de nouveau que si la distribution échoue.",
    'no deadline':
      'Le serveur distant ne connaît pas le délai que vous avez fixé, et ne vous dira pas quand il sera écoulé.',
    trace: 'Vous avez demandé un rapport de chaque serveur qui transmet le message.',
    overdue: 'Le délai que vous avez fixé pour la distribution est écoulé.',
  },
  statuses: {
    '1.0': `Le serveur distant n'accepte pas cette adresse. ${TYPO}`,
    '1.1':
      "Cette boîte n'existe pas. Vérifiez que la partie avant le @ ne contient pas de faute de frappe, ou demandez la nouvelle adresse à la personne.",
    '1.2': `Le domaine, la partie après le @, n'existe pas ou n'a pas de serveur de messagerie. ${DOMAIN_TYPO}`,
    '1.3': `L'adresse n'est pas écrite comme une adresse électronique doit l'être. ${TYPO}`,
    '1.4': "L'adresse peut y désigner plusieurs boîtes. Demandez l'adresse exacte à la personne.",
    '1.6': "La boîte a déménagé, et sa nouvelle adresse n'est pas connue. Demandez-la à la personne.",
    '1.7': "Le serveur distant n'a pas accepté votre propre adresse telle qu'elle était écrite.",
    '1.8': `Le serveur distant n'a pas trouvé les serveurs de messagerie de votre propre domaine. ${ADMIN}`,
    '1.10': `Le domaine, la partie après le @, a annoncé qu'il n'accepte aucun courrier. ${DOMAIN_TYPO}`,
    '2.0': `La boîte existe, mais ne peut pas recevoir de courrier. ${OTHER_WAY}`,
    '2.1': `La boîte a été désactivée. ${OTHER_WAY}`,
    '2.2': `La boîte est pleine. ${LATER}`,
    '2.3': `Le message est plus gros que cette boîte ne le permet. ${SMALLER}`,
    '2.4': "L'adresse est une liste qui n'a pas pu y être développée. Signalez-le à son responsable.",
    '3.0': `Le système de messagerie distant a un problème. ${LATER}`,
    '3.1': `Le système de messagerie distant n'a plus de place. ${LATER}`,
    '3.2': `Le système de messagerie distant n'accepte pas de courrier en ce moment. ${LATER}`,
    '3.3': 'Il manque au système de messagerie distant quelque chose dont ce message a besoin.',
    '3.4': `Le message est plus gros que le système de messagerie distant ne le permet. ${SMALLER}`,
    '3.5':
      "Le système de messagerie distant n'est pas configuré pour ce domaine. Signalez-le à son administrateur.",
    '4.0': "Les serveurs de messagerie de ce domaine n'ont pas pu être joints.",
    '4.1': `Les serveurs de messagerie de ce domaine n'ont pas répondu. ${DOMAIN_TYPO}`,
    '4.2': 'La connexion avec le serveur de messagerie distant a été rompue chaque fois.',
    '4.3':
      "L'annuaire des noms de domaine (DNS) n'a pas donné de réponse pour ce domaine. Son administrateur devrait s'en occuper.",
    '4.4': `Aucun chemin vers un serveur de messagerie de ce domaine n'a été trouvé. ${DOMAIN_TYPO}`,
    '4.5': `Le système de messagerie distant est surchargé. ${LATER}`,
    '4.6': `Le message a tourné en rond : des serveurs de messagerie se le sont renvoyé. ${ADMIN}`,
    '4.7': "Le message n'a pas pu être distribué dans le délai fixé.",
    '5.0': MISUNDERSTOOD,
    '5.1': MISUNDERSTOOD,
    '5.2': MISUNDERSTOOD,
    '5.3':
      "Le message a plus de destinataires que le serveur distant n'en accepte à la fois. Envoyez-le à moins de personnes.",
    '5.4': MISUNDERSTOOD,
    '5.6': 'Une ligne du message est trop longue pour le serveur de messagerie distant.',
    '6.0': "Le serveur distant n'a pas accepté le contenu du message.",
    '6.1': "Le serveur distant n'accepte pas ce genre de contenu.",
    '6.3': "Le message a besoin d'une conversion qui briserait sa signature ; elle n'a donc pas été faite.",
    '6.7':
      "L'adresse ou le message contient des lettres hors de l'ASCII, que le serveur distant ne peut pas accepter. Utilisez une adresse ASCII de cette personne, si elle en a une.",
    '7.0': 'Le serveur distant a refusé le message pour des raisons de règles ou de sécurité.',
    '7.1':
      "Le serveur distant n'accepte pas de courrier de votre part pour cette boîte. Ce qu'il a dit, ci-dessous, en donne peut-être la raison.",
    '7.2': "Vous n'avez pas le droit d'écrire à cette liste. Demandez à son responsable.",
    '7.4': "Le serveur distant demande une sorte de sécurité que le nôtre n'a pas pu donner.",
    '7.5': "Le serveur distant demande une sorte de sécurité que le nôtre n'a pas pu donner.",
    '7.7': `Le serveur distant a trouvé que le message avait été modifié en chemin. ${ADMIN}`,
    '7.8': `Le serveur distant demande à notre serveur de s'authentifier. ${ADMIN}`,
    '7.10':
      'Le message exige le chiffrement sur tout le chemin, et le serveur distant ne peut pas le donner.',
    '7.20': `Le serveur distant n'a trouvé aucune signature DKIM valide dans le message. ${ADMIN}`,
    '7.21': `Le serveur distant n'a pas accepté la signature DKIM du message. ${ADMIN}`,
    '7.22': `Le serveur distant n'a trouvé aucune signature DKIM du domaine de From. ${ADMIN}`,
    '7.23': `Le serveur distant dit que notre serveur ne peut pas envoyer pour ce domaine (SPF). ${ADMIN}`,
    '7.24': `Le serveur distant n'a pas pu vérifier si nous pouvons envoyer pour ce domaine (SPF). ${ADMIN}`,
    '7.25': `Le serveur distant n'accepte pas le nôtre : son adresse n'a pas de nom. ${ADMIN}`,
    '7.26': `Le serveur distant n'a pas pu vérifier que le message vient de votre domaine. ${ADMIN}`,
    '7.27': `Le serveur distant a vu que votre propre domaine n'accepte pas de courrier. ${ADMIN}`,
    '7.28': `Le serveur distant trouve que trop de courrier de ce genre vient de nous. ${ADMIN}`,
    '7.30':
      'Le message exige le chiffrement sur tout le chemin, et le serveur distant ne peut pas le donner.',
  },
  subjects: {
    '1': `Le serveur distant n'a pas accepté une adresse. ${TYPO}`,
    '2': "La boîte distante n'a pas pu prendre le message.",
    '3': "Le système de messagerie distant n'a pas pu prendre le message.",
    '4': "Le message n'a trouvé aucun chemin vers le serveur de messagerie distant.",
    '5': MISUNDERSTOOD,
    '6': "Le serveur distant n'a pas accepté le contenu du message.",
    '7': 'Le serveur distant a refusé le message pour des raisons de règles ou de sécurité.',
  },
  unknown: "Le serveur distant n'a pas pris le message.",
}
