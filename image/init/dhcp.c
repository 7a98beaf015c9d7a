/*
 * A DHCP client (RFC 2131, RFC 2132) for one interface: DISCOVER and REQUEST by broadcast until somebody answers, then a
 * process of its own that asks again at half of the lease's time, with nothing but CAP_NET_ADMIN and its port.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum { O_MASK = 1, O_ROUTER = 3, O_DNS = 6, O_ADDRESS = 50, O_LEASE = 51, O_TYPE = 53, O_SERVER = 54, O_LIST = 55, O_END = 255 };
static const uint8_t COOKIE[4] = {99, 130, 83, 99};

/* RFC 2131 §2, Figure 1. */
struct message {
  uint8_t op, htype, hlen, hops;
  uint32_t xid;
  uint16_t secs, flags;
  uint32_t ciaddr, yiaddr, siaddr, giaddr;
  uint8_t chaddr[16], sname[64], file[128], cookie[4], options[308];
};

static int open_socket(const char *interface) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(68)};
  if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) != 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) != 0 ||
      bind(fd, (struct sockaddr *)&here, sizeof here) != 0)
    fail("DHCP: %s", strerror(errno));
  return fd;
}

static void send_message(int fd, uint8_t type, uint32_t xid, const uint8_t hardware[6], const struct lease *lease, bool renewing) {
  struct message message = {.op = 1, .htype = 1, .hlen = 6, .xid = xid, .flags = htons(0x8000)};
  memcpy(message.chaddr, hardware, 6);
  memcpy(message.cookie, COOKIE, 4);
  uint8_t *at = message.options;
  *at++ = O_TYPE, *at++ = 1, *at++ = type;
  *at++ = O_LIST, *at++ = 4, *at++ = O_MASK, *at++ = O_ROUTER, *at++ = O_DNS, *at++ = O_LEASE;
  if (renewing) {
    /* RFC 2131 §4.3.2: in RENEWING and REBINDING the address is in ciaddr, and no server is named. */
    message.ciaddr = lease->address;
  } else if (type == REQUEST) {
    *at++ = O_ADDRESS, *at++ = 4, memcpy(at, &lease->address, 4), at += 4;
    *at++ = O_SERVER, *at++ = 4, memcpy(at, &lease->server, 4), at += 4;
  }
  *at = O_END;
  struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons(67), .sin_addr = {INADDR_BROADCAST}};
  /* One that is lost is sent again. */
  if (sendto(fd, &message, sizeof message, 0, (struct sockaddr *)&all, sizeof all) < 0) return;
}

/* What kind of reply it is, and `lease` as it says; 0 for what is none, or not for us. */
static int read_message(const struct message *message, size_t size, uint32_t xid, const uint8_t hardware[6], struct lease *lease) {
  if (size < offsetof(struct message, options) || message->op != 2 || message->xid != xid || memcmp(message->chaddr, hardware, 6) != 0 ||
      memcmp(message->cookie, COOKIE, 4) != 0)
    return 0;
  *lease = (struct lease){.address = message->yiaddr, .netmask = htonl(0xffffff00), .seconds = 3600};
  int type = 0;
  const uint8_t *at = message->options, *end = (const uint8_t *)message + size;
  while (at < end && *at != O_END) {
    if (*at == 0) {
      at++;
      continue;
    }
    if (at + 2 > end || at + 2 + at[1] > end) return 0;
    uint8_t code = at[0], length = at[1];
    const uint8_t *value = at + 2;
    at = value + length;
    if (code == O_TYPE && length == 1) type = *value;
    if (length < 4) continue;
    if (code == O_MASK) memcpy(&lease->netmask, value, 4);
    if (code == O_ROUTER) memcpy(&lease->gateway, value, 4);
    if (code == O_SERVER) memcpy(&lease->server, value, 4);
    if (code == O_LEASE) memcpy(&lease->seconds, value, 4), lease->seconds = ntohl(lease->seconds);
    for (int server = 0; code == O_DNS && server + 4 <= length && server < 12; server += 4) {
      struct in_addr address;
      memcpy(&address, value + server, 4);
      size_t have = strlen(lease->nameservers);
      snprintf(lease->nameservers + have, sizeof lease->nameservers - have, "%s ", inet_ntoa(address));
    }
  }
  return lease->address == 0 && type != NAK ? 0 : type;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a reply of that type, or NAK; 0 when none has come in that time. */
static int receive(int fd, int wanted, uint32_t xid, const uint8_t hardware[6], int wait_ms, struct lease *lease) {
  int64_t until = now_ms() + wait_ms;
  for (;;) {
    int64_t left = until - now_ms();
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    if (left <= 0 || poll(&watched, 1, (int)left) <= 0) return 0;
    struct message message = {0};
    ssize_t size = recv(fd, &message, sizeof message, 0);
    struct lease said;
    int type = size < 0 ? 0 : read_message(&message, (size_t)size, xid, hardware, &said);
    if (type != wanted && type != NAK) continue;
    if (type == wanted) *lease = said;
    return type;
  }
}

static uint32_t new_xid(void) {
  uint32_t xid = 0;
  while (getrandom(&xid, sizeof xid, 0) != sizeof xid) continue;
  return xid;
}

bool dhcp(const char *interface, const uint8_t hardware[6], unsigned wait_seconds, struct lease *lease) {
  int fd = open_socket(interface);
  int64_t until = now_ms() + (int64_t)wait_seconds * 1000;
  bool have = false;
  /* RFC 2131 §4.1 begins with 4 s; a machine that starts on a network of machines need not wait so long. */
  for (int wait_ms = 500; !have && now_ms() < until; wait_ms = wait_ms < 8000 ? wait_ms * 2 : wait_ms) {
    uint32_t xid = new_xid();
    send_message(fd, DISCOVER, xid, hardware, lease, false);
    if (receive(fd, OFFER, xid, hardware, wait_ms, lease) != OFFER) continue;
    send_message(fd, REQUEST, xid, hardware, lease, false);
    have = receive(fd, ACK, xid, hardware, wait_ms, lease) == ACK;
  }
  close(fd);
  return have;
}

static void renew_for_ever(const char *interface, const uint8_t hardware[6], struct lease lease) {
  static const int capabilities[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE};
  int fd = open_socket(interface);
  keep_only(capabilities, sizeof capabilities / sizeof *capabilities);
  for (;;) {
    int64_t got = now_ms(), seconds = lease.seconds < 60 ? 60 : lease.seconds;
    sleep((unsigned)(seconds / 2));
    for (;;) {
      uint32_t xid = new_xid();
      struct lease fresh;
      send_message(fd, REQUEST, xid, hardware, &lease, true);
      int type = receive(fd, ACK, xid, hardware, 10000, &fresh);
      if (type == ACK && fresh.address == lease.address) {
        lease = fresh;
        break;
      }
      /* Another address would need another start: connections, the name in DNS and the hops hang on this one. */
      if (type != 0) say(ERROR, "network", "the DHCP server does not let us keep %s", inet_ntoa((struct in_addr){lease.address}));
      else if (now_ms() - got > seconds * 1000) say(ERROR, "network", "the DHCP lease has run out, and no server answers");
      sleep(30);
    }
  }
}

void dhcp_renew(const char *interface, const uint8_t hardware[6], struct lease lease) {
  pid_t child = fork();
  if (child < 0) fail("DHCP: %s", strerror(errno));
  if (child == 0) renew_for_ever(interface, hardware, lease);
}
