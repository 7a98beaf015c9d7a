/*
 * What is given up before anything is done that comes from outside: root, capabilities, and for the service the system
 * calls that neither Node nor git nor ssh ever needs. It has to be able to start programs (git), but all that it could write to is
 * mounted noexec.
 */

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

static void set_capabilities(uint64_t kept) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{(uint32_t)kept, (uint32_t)kept, 0}, {(uint32_t)(kept >> 32), (uint32_t)(kept >> 32), 0}};
  if (syscall(SYS_capset, &header, data) != 0) fail("capabilities: %s", strerror(errno));
}

/* No program that is started from here can have more than there is here now. */
static void drop_bounds(void) {
  for (int capability = 0; capability <= 63; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) fail("capabilities: %s", strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs: %s", strerror(errno));
}

void keep_only(const int capabilities[], size_t count) {
  uint64_t kept = 0;
  for (size_t at = 0; at < count; at++) kept |= UINT64_C(1) << capabilities[at];
  drop_bounds();
  /* Files of root are root's even without a capability: another user, that has no files. */
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 || setresgid(HELPER_ID, HELPER_ID, HELPER_ID) != 0 ||
      setresuid(HELPER_ID, HELPER_ID, HELPER_ID) != 0)
    fail("a helper's user: %s", strerror(errno));
  set_capabilities(kept);
}

/* Linux 5.14; not in every C library's list yet. */
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define MISSING RETURN(SECCOMP_RET_ERRNO | ENOSYS)
#define EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, 1)
#define DENY(name) EQUAL(SYS_##name), REFUSE
#define ARGUMENT(number) LOAD(args[number])
/* linux/sched.h: all that makes a new namespace. */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | 0x80)

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    RETURN(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    /* x32 has numbers of its own for the same calls. */
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
    RETURN(SECCOMP_RET_KILL_PROCESS),
    /* File systems. */
    DENY(mount), DENY(umount2), DENY(pivot_root), DENY(chroot), DENY(fsopen), DENY(fsmount), DENY(fsconfig), DENY(fspick),
    DENY(move_mount), DENY(open_tree), DENY(mount_setattr), DENY(swapon), DENY(swapoff), DENY(quotactl), DENY(quotactl_fd),
    DENY(open_by_handle_at), DENY(name_to_handle_at), DENY(mknod), DENY(mknodat), DENY(fanotify_init),
    /* The kernel itself. */
    DENY(init_module), DENY(finit_module), DENY(delete_module), DENY(kexec_load), DENY(kexec_file_load), DENY(reboot), DENY(bpf),
    DENY(perf_event_open), DENY(userfaultfd), DENY(syslog), DENY(iopl), DENY(ioperm), DENY(modify_ldt), DENY(acct), DENY(vhangup),
    DENY(lookup_dcookie), DENY(uselib), DENY(personality), DENY(sethostname), DENY(setdomainname), DENY(add_key), DENY(request_key),
    DENY(keyctl), DENY(pkey_mprotect),
    /* The clock. */
    DENY(settimeofday), DENY(clock_settime), DENY(adjtimex), DENY(clock_adjtime),
    /* Other processes. */
    DENY(ptrace), DENY(process_vm_readv), DENY(process_vm_writev), DENY(process_madvise), DENY(kcmp), DENY(pidfd_getfd), DENY(setns),
    DENY(unshare), DENY(migrate_pages), DENY(move_pages),
    /* A second way to everything; libuv does without. And clone3, whose flags cannot be looked at: glibc takes clone then. */
    EQUAL(SYS_io_uring_setup), MISSING, EQUAL(SYS_io_uring_enter), MISSING, EQUAL(SYS_io_uring_register), MISSING, EQUAL(SYS_clone3), MISSING,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
    ARGUMENT(0),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)NAMESPACES, 0, 1),
    REFUSE,
    LOAD(nr),
    /* The network is IP; names of interfaces are asked by netlink. No packets past it, no odd families. */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6),
    ARGUMENT(0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 4, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0),
    RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    RETURN(SECCOMP_RET_ALLOW),
};

/* A connection is a file. Where the limit cannot be raised, all that it lets us have. */
static void allow_files(void) {
  struct rlimit files = {65536, 65536};
  if (setrlimit(RLIMIT_NOFILE, &files) == 0) return;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

void become_service(void) {
  const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) fail("limits: %s", strerror(errno));
  allow_files();
  drop_bounds();
  if (setgroups(0, NULL) != 0 || setresgid(SERVICE_ID, SERVICE_ID, SERVICE_ID) != 0 || setresuid(SERVICE_ID, SERVICE_ID, SERVICE_ID) != 0)
    fail("the service's user: %s", strerror(errno));
  set_capabilities(0);
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) fail("seccomp: %s", strerror(errno));
}
