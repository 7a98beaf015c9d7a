/*
 * The options of the machine: on the kernel command line from the first word that begins with "--" (what is before is the
 * kernel's), and in the file `options` of the config disk, a line an option or several. The command line counts more.
 *
 * Those of the network and the clock are init's; all others are the service's, which complains of what it does not know.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init.h"

static const char *const ours[] = {"--ipv4", "--ipv4-gateway", "--ipv6", "--ipv6-gateway", "--nameserver", "--ntp", "--machine-name"};
enum { OURS = sizeof ours / sizeof *ours };

static const char *values[OURS];
static char *words[MAX_WORDS + 1];
static size_t count;

/* Words are divided by white space; what is between double quotes stays together, as the kernel has it. */
static size_t split(char *text, char *found[], size_t limit) {
  size_t number = 0;
  char *to = text;
  bool inside = false, quoted = false;
  for (char *from = text;; from++) {
    bool space = *from == '\0' || (!quoted && strchr(" \t\r\n", *from) != NULL);
    if (space && inside) {
      char ended = *from;
      *to++ = '\0';
      inside = false;
      if (ended == '\0') break;
      continue;
    }
    if (*from == '\0') break;
    if (space) continue;
    if (!inside) {
      if (number == limit) fail("there are more than %d words of options", (int)limit);
      found[number++] = to;
      inside = true;
    }
    if (*from == '"') quoted = !quoted;
    else *to++ = *from;
  }
  return number;
}

static int number_of(const char *word, size_t length) {
  for (int at = 0; at < OURS; at++)
    if (strlen(ours[at]) == length && strncmp(ours[at], word, length) == 0) return at;
  return -1;
}

static void take(char *found[], size_t number, bool anew) {
  for (size_t at = 0; at < number; at++) {
    char *word = found[at], *equals = strchr(word, '=');
    size_t length = equals == NULL ? strlen(word) : (size_t)(equals - word);
    int mine = number_of(word, length);
    if (mine < 0) {
      /* Boot loaders add words of their own, some at the end, and so do monitors, for kernels that know no ACPI. */
      if (strcmp(word, "--") == 0 || strncmp(word, "initrd=", 7) == 0 || strncmp(word, "BOOT_IMAGE=", 11) == 0 ||
          strncmp(word, "virtio_mmio.device=", 19) == 0)
        continue;
      if (count == MAX_WORDS) fail("there are more than %d words of options", MAX_WORDS);
      words[count++] = word;
      continue;
    }
    char *value = equals != NULL ? equals + 1 : at + 1 < number && strncmp(found[at + 1], "--", 2) != 0 ? found[++at] : "";
    if (*value == '\0') fail("%s needs a value: write for example %s=%s", ours[mine], ours[mine], mine < 4 ? "dhcp" : "192.0.2.1");
    if (anew || values[mine] == NULL) values[mine] = value;
  }
}

void read_command_line(void) {
  static char text[8192];
  static char *found[MAX_WORDS];
  if (read_file("/proc/cmdline", text, sizeof text) < 0) fail("/proc/cmdline cannot be read");
  size_t number = split(text, found, MAX_WORDS), first = 0;
  while (first < number && strncmp(found[first], "--", 2) != 0) first++;
  take(found + first, number - first, true);
}

/* The service lets the last of two equal options count: the file's words go before those of the command line. */
void read_options_file(const char *path) {
  static char text[65536];
  static char *found[MAX_WORDS], *before[MAX_WORDS];
  if (read_file(path, text, sizeof text) < 0) return;
  size_t number = count;
  memcpy(before, words, number * sizeof *words);
  count = 0;
  take(found, split(text, found, MAX_WORDS), false);
  if (count + number > MAX_WORDS) fail("there are more than %d words of options", MAX_WORDS);
  memcpy(words + count, before, number * sizeof *words);
  count += number;
}

const char *option(const char *name, const char *fallback) {
  int at = number_of(name, strlen(name));
  return at < 0 || values[at] == NULL ? fallback : values[at];
}

char **service_words(void) {
  words[count] = NULL;
  return words;
}
