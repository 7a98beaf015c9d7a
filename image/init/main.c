/*
 * NAME     init, process 1 of the images of `ptt image build`
 * HOLDS    root, and all of the machine; the service gets neither
 * REACHES  a DHCP server and time servers, where they are asked for
 * BUGS     one network interface; a configuration is read at start only
 *
 * What comes from outside (packets of DHCP and SNTP after the start, mail, git) is never handled with more than one capability.
 * Whatever goes wrong is said on the console in a line, and the machine powers off: there is nobody here to ask.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

/* The initramfs says which service this is; after enter_root() it cannot be seen any more. */
static void carry_over(char role[32]) {
  if (read_file("/service", role, 32) < 1) fail("/service is missing: build the image again");
}

int main(void) {
  char role[32];
  if (getpid() != 1) return 1;
  umask(022);
  mount_early();
  carry_over(role);
  read_command_line();
  load_modules();
  enter_root();
  if (!write_file("/run/service", role)) fail("/run/service: %s", strerror(errno));
  role[strcspn(role, "\n")] = '\0';
  read_config_disk();
  const char *name = option("--machine-name", role);
  if (sethostname(name, strlen(name)) != 0) fail("--machine-name=%s: %s", name, strerror(errno));
  bool has_data = mount_data_disk(strcmp(role, "relay") == 0);
  start_network();
  set_clock();
  harden_kernel();
  run_service(has_data);
}
