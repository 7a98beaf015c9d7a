/*
 * The clock. The kernel has read it from the machine (RTC); with `--ntp` servers are asked as well (SNTP, RFC 4330) before the
 * service starts, and every quarter of an hour after. Without a clock that is right nothing here can be trusted: certificates,
 * signatures and the queue hang on it.
 */

#include <errno.h>
#include <linux/capability.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

/* 1900 to 1970, in seconds. */
#define ERA 2208988800LL
/* 2026-01-01: what is before this is a machine without a clock. */
#define EARLIEST 1767225600LL
enum { TRIES = 3, WAIT_MS = 2000, AGAIN_SECONDS = 900, STEP_MS = 500 };

static double seconds_of(const uint8_t *stamp) {
  uint32_t whole = (uint32_t)stamp[0] << 24 | stamp[1] << 16 | stamp[2] << 8 | stamp[3];
  uint32_t part = (uint32_t)stamp[4] << 24 | stamp[5] << 16 | stamp[6] << 8 | stamp[7];
  /* RFC 4330 §3: without the highest bit it is the era that begins in 2036. */
  return (double)whole + (whole & 0x80000000u ? 0 : 4294967296.0) - ERA + part / 4294967296.0;
}

static double real_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + now.tv_nsec / 1e9;
}

/* By how many seconds the server is ahead of us; false: it has not answered, or nothing usable. */
static bool ask(const struct addrinfo *server, double *offset) {
  uint8_t query[48] = {(4 << 3) | 3}, reply[48];
  /* The stamp we send comes back with the answer: a random one, so that nobody can answer who has not seen it. */
  if (getrandom(query + 40, 8, 0) != 8) return false;
  int fd = socket(server->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool good = false;
  if (connect(fd, server->ai_addr, server->ai_addrlen) == 0) {
    double sent = real_time();
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    if (send(fd, query, sizeof query, 0) == sizeof query && poll(&watched, 1, WAIT_MS) == 1 && recv(fd, reply, sizeof reply, 0) == sizeof reply) {
      double got = real_time();
      bool synchronized = reply[0] >> 6 != 3 && (reply[0] & 7) == 4 && reply[1] >= 1 && reply[1] <= 15;
      good = synchronized && memcmp(reply + 24, query + 40, 8) == 0 && seconds_of(reply + 40) > EARLIEST;
      *offset = (seconds_of(reply + 32) - sent + seconds_of(reply + 40) - got) / 2;
    }
  }
  close(fd);
  return good;
}

static bool ask_all(const char *servers, double *offset) {
  char list[512];
  snprintf(list, sizeof list, "%s", servers);
  for (char *rest = list, *name; (name = strsep(&rest, ",")) != NULL;) {
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
    if (*name == '\0' || getaddrinfo(name, "123", &hints, &found) != 0) continue;
    bool good = false;
    for (const struct addrinfo *one = found; one != NULL && !good; one = one->ai_next) good = ask(one, offset);
    freeaddrinfo(found);
    if (good) return true;
  }
  return false;
}

static void apply(double offset) {
  double size = offset < 0 ? -offset : offset;
  if (size * 1000 < STEP_MS) {
    struct timeval slowly = {.tv_sec = 0, .tv_usec = (suseconds_t)(offset * 1e6)};
    adjtime(&slowly, NULL);
    return;
  }
  double target = real_time() + offset;
  struct timespec stamp = {.tv_sec = (time_t)target};
  stamp.tv_nsec = (long)((target - (double)stamp.tv_sec) * 1e9);
  if (clock_settime(CLOCK_REALTIME, &stamp) != 0) fail("the clock cannot be set: %s", strerror(errno));
  say(INFO, "clock", "set by %.1f s", offset);
}

static void keep_time(const char *servers) {
  static const int capabilities[] = {CAP_SYS_TIME};
  keep_only(capabilities, 1);
  for (bool silent = false;;) {
    double offset;
    sleep(AGAIN_SECONDS);
    if (ask_all(servers, &offset)) {
      apply(offset);
      silent = false;
    } else if (!silent) {
      say(WARN, "clock", "no time server answers: %s", servers);
      silent = true;
    }
  }
}

void set_clock(void) {
  const char *servers = option("--ntp", NULL);
  if (servers != NULL) {
    double offset;
    bool good = false;
    for (int attempt = 0; attempt < TRIES && !good; attempt++) good = ask_all(servers, &offset);
    if (good) apply(offset);
    else say(WARN, "clock", "no time server answers: %s", servers);
    pid_t child = fork();
    if (child < 0) fail("SNTP: %s", strerror(errno));
    if (child == 0) keep_time(servers);
  }
  if (real_time() < EARLIEST) fail("the clock of the machine is wrong, it says %ld s since 1970: give it an RTC, or write --ntp=SERVER", (long)time(NULL));
}
