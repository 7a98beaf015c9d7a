/*
 * From the initramfs to the root of the service: a squashfs that cannot be written, with small file systems in memory
 * for what changes. Nothing that can be written can be executed.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "init.h"

#define CLOSED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static void mount_or_fail(const char *what, const char *where, const char *type, unsigned long flags, const char *data) {
  if (mount(what, where, type, flags, data) != 0) fail("%s cannot be mounted at %s: %s", what, where, strerror(errno));
}

void mount_early(void) {
  mkdir("/dev", 0755);
  mkdir("/proc", 0555);
  mkdir("/sys", 0555);
  mkdir("/root", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755");
  open_console();
  mount_or_fail("proc", "/proc", "proc", CLOSED, "hidepid=invisible");
  mount_or_fail("sysfs", "/sys", "sysfs", CLOSED, NULL);
  /* Errors of the kernel only: the console is the log of the service. */
  klogctl(8, NULL, 4);
  find_power_switch();
}

/* `modules` names them in the order in which one needs the other; one that the machine has no use for says so (ENODEV), and
   those that need it miss its symbols (ENOENT). */
void load_modules(void) {
  static char list[16384];
  if (read_file("/modules/order", list, sizeof list) < 0) fail("the initramfs has no /modules/order: build the image again");
  for (char *rest = list, *name; (name = strsep(&rest, "\n")) != NULL;) {
    if (*name == '\0') continue;
    char path[256];
    snprintf(path, sizeof path, "/modules/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("%s is missing: build the image again", path);
    if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST && errno != ENODEV && errno != ENOENT)
      say(WARN, "module", "%s was not loaded: %s", name, strerror(errno));
    close(file);
    unlink(path);
  }
}

static void attach(int loop, int image) {
  struct loop_config config = {.fd = (uint32_t)image, .info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR}};
  if (ioctl(loop, LOOP_CONFIGURE, &config) != 0) fail("/root.squashfs: no loop device: %s", strerror(errno));
}

static void make_devices(void) {
  static const struct { const char *path; unsigned minor; } devices[] = {
      {"/root/dev/null", 3}, {"/root/dev/zero", 5}, {"/root/dev/full", 7}, {"/root/dev/random", 8}, {"/root/dev/urandom", 9}};
  mount_or_fail("dev", "/root/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
  for (size_t at = 0; at < sizeof devices / sizeof *devices; at++)
    if (mknod(devices[at].path, S_IFCHR | 0666, makedev(1, devices[at].minor)) != 0 || chmod(devices[at].path, 0666) != 0)
      fail("%s: %s", devices[at].path, strerror(errno));
  if (symlink("/proc/self/fd", "/root/dev/fd") != 0) fail("/dev/fd: %s", strerror(errno));
}

void enter_root(void) {
  int loop = open("/dev/loop0", O_RDWR | O_CLOEXEC), image = open("/root.squashfs", O_RDONLY | O_CLOEXEC);
  if (loop < 0 || image < 0) fail("/root.squashfs cannot be opened: build the image again");
  attach(loop, image);
  mount_or_fail("/dev/loop0", "/root", "squashfs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
  close(loop);
  close(image);
  make_devices();
  char owner[64];
  snprintf(owner, sizeof owner, "mode=0755,size=25%%,nr_inodes=65536");
  mount_or_fail("run", "/root/run", "tmpfs", CLOSED, owner);
  snprintf(owner, sizeof owner, "mode=0700,size=10%%,nr_inodes=4096,uid=%d,gid=%d", SERVICE_ID, SERVICE_ID);
  mount_or_fail("tmp", "/root/tmp", "tmpfs", CLOSED, owner);
  if (mkdir("/root" SERVICE_HOME, 0700) != 0 || chown("/root" SERVICE_HOME, SERVICE_ID, SERVICE_ID) != 0)
    fail(SERVICE_HOME ": %s", strerror(errno));
  mount_or_fail("/proc", "/root/proc", NULL, MS_MOVE, NULL);
  mount_or_fail("/sys", "/root/sys", NULL, MS_MOVE, NULL);
  /* The service sees the few devices made above. Init looks at disks and keys under this name, which ends before it starts. */
  if (mkdir("/root/run/dev", 0700) != 0) fail("/run/dev: %s", strerror(errno));
  mount_or_fail("/dev", "/root/run/dev", NULL, MS_MOVE, NULL);
  unlink("/init");
  unlink("/root.squashfs");
  if (chdir("/root") != 0) fail("/root: %s", strerror(errno));
  mount_or_fail(".", "/", NULL, MS_MOVE, NULL);
  if (chroot(".") != 0 || chdir("/") != 0) fail("the root cannot be entered: %s", strerror(errno));
}

/* What can only be switched off is switched off; a kernel that lacks one of these has nothing to protect there. */
void harden_kernel(void) {
  static const char *const settings[][2] = {
      {"/proc/sys/kernel/modules_disabled", "1"},
      {"/proc/sys/kernel/kexec_load_disabled", "1"},
      {"/proc/sys/kernel/dmesg_restrict", "1"},
      {"/proc/sys/kernel/kptr_restrict", "2"},
      {"/proc/sys/kernel/perf_event_paranoid", "3"},
      {"/proc/sys/kernel/unprivileged_bpf_disabled", "1"},
      {"/proc/sys/kernel/io_uring_disabled", "2"},
      {"/proc/sys/kernel/sysrq", "0"},
      {"/proc/sys/kernel/yama/ptrace_scope", "3"},
      {"/proc/sys/kernel/core_pattern", "|/nonexistent"},
      {"/proc/sys/kernel/panic", "10"},
      {"/proc/sys/net/core/bpf_jit_harden", "2"},
      {"/proc/sys/user/max_user_namespaces", "0"},
      {"/proc/sys/vm/unprivileged_userfaultfd", "0"},
      {"/proc/sys/fs/suid_dumpable", "0"},
      {"/proc/sys/fs/protected_symlinks", "1"},
      {"/proc/sys/fs/protected_hardlinks", "1"},
      {"/proc/sys/fs/protected_fifos", "2"},
      {"/proc/sys/fs/protected_regular", "2"},
      {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
      {"/proc/sys/net/ipv4/conf/all/accept_source_route", "0"},
      {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
      {"/proc/sys/net/ipv6/conf/all/accept_redirects", "0"},
      /* Ports below 1024 without a capability: there is nobody else here who could take them. */
      {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
  };
  for (size_t at = 0; at < sizeof settings / sizeof *settings; at++) write_file(settings[at][0], settings[at][1]);
  char disabled[8];
  if (read_file("/proc/sys/kernel/modules_disabled", disabled, sizeof disabled) < 1 || disabled[0] != '1')
    fail("modules can still be loaded: this is not the kernel that the image was built with");
}
