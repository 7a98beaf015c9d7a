/* What the parts of init share. Each part is a file; main.c has the order in which they come. */

#ifndef PTT_INIT_H
#define PTT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who runs the service. Nobody else is in /etc/passwd but root, and neither can sign in. */
#define SERVICE_ID 100
/* Who renews the lease and keeps the time. */
#define HELPER_ID 101
#define SERVICE_HOME "/run/ptt"
#define DATA "/data"

enum { MAX_WORDS = 256 };

/* log.c: JSON lines on the console, as the services write them. */
enum level { INFO, WARN, ERROR };
void open_console(void);
int console(void);
void say(enum level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Says what is wrong, and what to do, and powers off. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void power_off(void) __attribute__((noreturn));
/* Whether the machine can be switched off; to be called when /sys is there. */
void find_power_switch(void);

/* files.c */
/* Reads at most `size` - 1 octets and ends them with NUL. -1: it cannot be read. */
long read_file(const char *path, char *text, size_t size);
bool write_file(const char *path, const char *text);
/* A secret: nobody but the service may read it. */
void write_for_service(const char *path, const char *text);
void copy_tree(const char *from, const char *to, int depth);
/* Runs a program and waits for it; its exit status, 128 + signal, or -1. */
int run(char *const arguments[]);

/* options.c: what is on the kernel command line from the first word with "--", then the lines of the config disk. */
void read_command_line(void);
void read_options_file(const char *path);
/* `fallback` when the option was not given; the last one counts. */
const char *option(const char *name, const char *fallback);
/* What is not for init: for the service. Ends with NULL. */
char **service_words(void);

/* mounts.c */
void mount_early(void);
void load_modules(void);
void enter_root(void);
void harden_kernel(void);

/* disks.c */
/* Looks at the disks, and copies the config disk, where there is one, to the home of the service. */
void read_config_disk(void);
/* After that: mounts the data disk at /data; formats it when it is blank. False: there is none. */
bool mount_data_disk(bool needed);
void unmount_data_disk(void);

/* network.c */
struct lease {
  uint32_t address, netmask, gateway, server; /* network order */
  char nameservers[256];
  uint32_t seconds;
};
void start_network(void);
void set_address(const char *interface, uint32_t address, uint32_t netmask);
void set_gateway(const char *interface, uint32_t gateway);
void write_nameservers(const char *servers);

/* dhcp.c */
/* Asks for an address until there is one; false after `wait_seconds`. */
bool dhcp(const char *interface, const uint8_t hardware[6], unsigned wait_seconds, struct lease *lease);
/* A process that renews it for as long as the machine runs. */
void dhcp_renew(const char *interface, const uint8_t hardware[6], struct lease lease);

/* sntp.c */
void set_clock(void);

/* confine.c */
/* For helpers of init: another user, these capabilities, and no new ones. */
void keep_only(const int capabilities[], size_t count);
/* The service: no root, no capability, no system call that it never needs. */
void become_service(void);

/* service.c */
void run_service(bool has_data) __attribute__((noreturn));

#endif
