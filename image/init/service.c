/*
 * Starts the service, passes on what it says to the console, reaps what nobody waits for, and powers the machine off when the
 * service has ended. The power button (ACPI), Ctrl-Alt-Del (how Firecracker asks) and SIGTERM end the service in good order first.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

/* After this the service is not asked any more. */
enum { STOP_SECONDS = 60, MAX_BUTTONS = 4 };

static int buttons[MAX_BUTTONS];
static size_t button_count;

static void find_buttons(void) {
  DIR *folder = opendir("/run/dev/input");
  if (folder == NULL) return;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL && button_count < MAX_BUTTONS;) {
    if (strncmp(entry->d_name, "event", 5) != 0) continue;
    char path[64];
    uint8_t keys[KEY_MAX / 8 + 1] = {0};
    snprintf(path, sizeof path, "/run/dev/input/%.32s", entry->d_name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof keys), keys) >= 0 && keys[KEY_POWER / 8] & 1 << KEY_POWER % 8) buttons[button_count++] = fd;
    else close(fd);
  }
  closedir(folder);
}

static bool pressed(int button) {
  struct input_event event;
  bool power = false;
  while (read(button, &event, sizeof event) == sizeof event)
    power |= event.type == EV_KEY && event.code == KEY_POWER && event.value == 1;
  return power;
}

/* Nothing of this is seen by the service. */
static void hide(void) {
  if (umount2("/run/dev", MNT_DETACH) != 0 || rmdir("/run/dev") != 0 || umount2("/sys", MNT_DETACH) != 0)
    fail("/run/dev and /sys stay visible: %s", strerror(errno));
}

static pid_t start(int output, bool has_data) {
  char role[32];
  static char *arguments[MAX_WORDS + 16];
  if (read_file("/run/service", role, sizeof role) < 1) fail("/service is missing: build the image again");
  role[strcspn(role, "\n")] = '\0';
  size_t count = 0;
  arguments[count++] = "/ptt/node";
  arguments[count++] = "/ptt/main.cjs";
  arguments[count++] = "image";
  arguments[count++] = "boot";
  arguments[count++] = role;
  arguments[count++] = "--";
  for (char **word = service_words(); *word != NULL; word++) arguments[count++] = *word;
  arguments[count] = NULL;
  char *const environment[] = {"PATH=/usr/bin:/usr/sbin", "HOME=" SERVICE_HOME, "TMPDIR=/tmp", "LC_ALL=C", "NODE_ENV=production",
                               has_data ? "PTT_DATA=" DATA : NULL, NULL};
  pid_t child = fork();
  if (child != 0) return child;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 || setsid() < 0 ||
      chdir(SERVICE_HOME) != 0)
    fail("the service does not start: %s", strerror(errno));
  umask(077);
  become_service();
  execve(arguments[0], arguments, environment);
  _exit(127);
}

/* What is in the pipe now, or all until its end. */
static void pass_on(int input, bool to_end) {
  char text[65536];
  ssize_t got;
  while ((got = read(input, text, sizeof text)) > 0 || (got < 0 && errno == EAGAIN && to_end)) {
    if (got < 0) {
      struct pollfd watched = {.fd = input, .events = POLLIN};
      if (poll(&watched, 1, 1000) <= 0) return;
      continue;
    }
    for (ssize_t done = 0; done < got;) {
      ssize_t wrote = write(console(), text + done, (size_t)(got - done));
      if (wrote < 0 && errno != EINTR) return;
      if (wrote > 0) done += wrote;
    }
  }
}

static void end(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) say(INFO, "ended", "the service has ended: power off");
  else if (WIFEXITED(status)) say(ERROR, "ended", "the service has ended with status %d: power off", WEXITSTATUS(status));
  else say(ERROR, "ended", "the service was ended by signal %d: power off", WTERMSIG(status));
  /* git and ssh, and init's own helpers. */
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) continue;
  power_off();
}

void run_service(bool has_data) {
  int pipes[2];
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 || pipe2(pipes, O_CLOEXEC) != 0) fail("the service does not start: %s", strerror(errno));
  int heard = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  /* Ctrl-Alt-Del is a SIGINT for us, instead of a reset. */
  reboot(RB_DISABLE_CAD);
  find_buttons();
  hide();
  pid_t service = start(pipes[1], has_data);
  close(pipes[1]);
  if (service < 0) fail("the service does not start: %s", strerror(errno));
  time_t killed_at = 0;
  bool talking = true;
  for (;;) {
    struct pollfd watched[2 + MAX_BUTTONS] = {{.fd = heard, .events = POLLIN}, {.fd = talking ? pipes[0] : -1, .events = POLLIN}};
    for (size_t at = 0; at < button_count; at++) watched[2 + at] = (struct pollfd){.fd = buttons[at], .events = POLLIN};
    poll(watched, 2 + button_count, killed_at == 0 ? -1 : 1000);
    bool stop = false;
    struct signalfd_siginfo told;
    while (read(heard, &told, sizeof told) == sizeof told) stop |= told.ssi_signo != SIGCHLD;
    for (size_t at = 0; at < button_count; at++) stop |= pressed(buttons[at]);
    if (watched[1].revents & POLLIN) pass_on(pipes[0], false);
    else if (watched[1].revents & (POLLHUP | POLLERR)) talking = false;
    if (stop && killed_at == 0) {
      say(INFO, "stopping", "the service is asked to end");
      kill(service, SIGTERM);
      killed_at = time(NULL) + STOP_SECONDS;
    }
    if (killed_at != 0 && time(NULL) > killed_at) kill(service, SIGKILL);
    int status;
    for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;)
      if (gone == service) {
        pass_on(pipes[0], false);
        end(status);
      }
  }
}
