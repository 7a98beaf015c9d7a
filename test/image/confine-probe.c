/* Becomes the service as init does it, then tries what it should not be able to do: a line `name errno` for each. */

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  exit(1);
}

static void tell(const char *name, long result) { printf("%s %s\n", name, result >= 0 ? "ok" : strerror(errno)); }

#define TRY(name, call) (errno = 0, tell(name, (long)(call)))

int main(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  become_service();
  printf("uid %d %d\n", (int)getuid(), (int)getgid());
  TRY("setuid", setuid(0));
  TRY("chroot", chroot("/"));
  TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
  TRY("umount", umount("/proc"));
  TRY("unshare", unshare(CLONE_NEWUSER));
  TRY("unshare nothing", unshare(0));
  TRY("clone user", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
  TRY("clone3", syscall(SYS_clone3, 0, 0));
  TRY("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  TRY("init_module", syscall(SYS_init_module, "", 0, ""));
  TRY("finit_module", syscall(SYS_finit_module, 0, "", 0));
  TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
  TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
  TRY("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
  TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
  TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
  TRY("keyctl", syscall(SYS_keyctl, 0, 0, 0));
  TRY("reboot", reboot(RB_ENABLE_CAD));
  TRY("clock_settime", clock_settime(CLOCK_REALTIME, &now));
  TRY("personality", syscall(SYS_personality, 0xffffffff));
  TRY("mknod", syscall(SYS_mknodat, -100, "/tmp/ptt-device", 0020666, 0x103));
  TRY("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  TRY("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  TRY("raw socket", socket(AF_INET, SOCK_RAW, 1));
  TRY("tcp socket", socket(AF_INET6, SOCK_STREAM, 0));
  TRY("unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
  TRY("netlink socket", socket(AF_NETLINK, SOCK_RAW, 0));
  /* git is started so. */
  pid_t child = fork();
  if (child == 0) _exit(0);
  TRY("fork", child);
  waitpid(child, NULL, 0);
  printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  printf("bounding %d\n", prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0));
  fflush(stdout);
  /* The numbers of another architecture are not a way round: this is the end. */
  syscall(0x40000000 | SYS_getpid);
  printf("x32 ok\n");
  return 0;
}
