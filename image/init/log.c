/* The console: what init says is a JSON line an event, as in the log of the services (src/observe/log.ts). */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

static int console_fd = -1;

void open_console(void) {
  console_fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
  /* Without one, what is said is lost; the service runs all the same. */
  if (console_fd < 0) console_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  struct termios settings;
  /* Nobody reads what is typed: it is not to stand between the lines either. */
  if (tcgetattr(console_fd, &settings) == 0) {
    settings.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    tcsetattr(console_fd, TCSANOW, &settings);
  }
}

int console(void) { return console_fd; }

static void escape(char *to, size_t size, const char *from) {
  size_t at = 0;
  for (; *from != '\0' && at + 8 < size; from++) {
    unsigned char octet = (unsigned char)*from;
    if (octet == '"' || octet == '\\') {
      to[at++] = '\\';
      to[at++] = (char)octet;
    } else if (octet < 0x20 || octet >= 0x7f) {
      at += (size_t)snprintf(to + at, size - at, "\\u%04x", octet);
    } else {
      to[at++] = (char)octet;
    }
  }
  to[at] = '\0';
}

static void say_arguments(enum level level, const char *event, const char *format, va_list arguments) {
  static const char *const names[] = {"info", "warn", "error"};
  char text[1024], escaped[4096], line[4608], stamp[32];
  vsnprintf(text, sizeof text, format, arguments);
  escape(escaped, sizeof escaped, text);
  struct timespec now;
  struct tm calendar;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &calendar);
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &calendar);
  int length = snprintf(line, sizeof line,
                        "{\"level\":\"%s\",\"time\":\"%s.%03ldZ\",\"service\":\"init\",\"event\":\"%s\",\"reason\":\"%s\"}\n",
                        names[level], stamp, now.tv_nsec / 1000000, event, escaped);
  if (console_fd >= 0 && write(console_fd, line, (size_t)length) < 0) return;
}

void say(enum level level, const char *event, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say_arguments(level, event, format, arguments);
  va_end(arguments);
}

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say_arguments(ERROR, "failed", format, arguments);
  va_end(arguments);
  power_off();
}

static bool has_switch;

/* The kernel tells its log only which states it knows: "ACPI: PM: (supports S0 S3 S4 S5)". */
void find_power_switch(void) {
  static char text[1 << 18];
  has_switch = access("/sys/firmware/acpi", F_OK) == 0;
  int length = klogctl(3, text, sizeof text - 1);
  const char *states = length > 0 ? strstr(text, "(supports S0") : NULL;
  if (states == NULL) return;
  const char *off = strstr(states, " S5"), *end = strchr(states, ')');
  has_switch = off != NULL && off < end;
}

void power_off(void) {
  unmount_data_disk();
  sync();
  if (console_fd >= 0) tcdrain(console_fd);
  /* Without ACPI, or with one that cannot switch off (Firecracker's), the kernel would only halt; a virtual machine monitor takes a
     reset for the end. */
  reboot(has_switch ? RB_POWER_OFF : RB_AUTOBOOT);
  for (;;) pause();
}
