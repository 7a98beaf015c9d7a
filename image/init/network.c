/* The first Ethernet interface: an address given, by DHCP, or none; IPv6 from the routers, given, or none. */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init.h"

enum { DHCP_WAIT_SECONDS = 60, INTERFACE_WAIT_MS = 10000, DAD_WAIT_MS = 5000 };

static int control(int family, unsigned long request, void *argument) {
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int result = ioctl(fd, request, argument), error = errno;
  close(fd);
  errno = error;
  return result;
}

static void name_request(struct ifreq *request, const char *interface) {
  memset(request, 0, sizeof *request);
  snprintf(request->ifr_name, sizeof request->ifr_name, "%s", interface);
}

static void bring_up(const char *interface) {
  struct ifreq request;
  name_request(&request, interface);
  if (control(AF_INET, SIOCGIFFLAGS, &request) != 0) fail("%s: %s", interface, strerror(errno));
  request.ifr_flags |= IFF_UP;
  if (control(AF_INET, SIOCSIFFLAGS, &request) != 0) fail("%s does not come up: %s", interface, strerror(errno));
}

/* The first by name that is Ethernet (ARPHRD_ETHER). */
static bool find_interface(char *name, size_t size, uint8_t hardware[6]) {
  DIR *folder = opendir("/sys/class/net");
  if (folder == NULL) return false;
  bool found = false;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct ifreq request;
    if (entry->d_name[0] == '.' || (found && strcmp(entry->d_name, name) > 0)) continue;
    name_request(&request, entry->d_name);
    if (control(AF_INET, SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) continue;
    snprintf(name, size, "%s", entry->d_name);
    memcpy(hardware, request.ifr_hwaddr.sa_data, 6);
    found = true;
  }
  closedir(folder);
  return found;
}

static void set(const char *interface, unsigned long request_code, uint32_t address, const char *what) {
  struct ifreq request;
  struct sockaddr_in socket_address = {.sin_family = AF_INET, .sin_addr = {address}};
  name_request(&request, interface);
  memcpy(&request.ifr_addr, &socket_address, sizeof socket_address);
  if (control(AF_INET, request_code, &request) != 0) fail("%s: %s %s: %s", interface, what, inet_ntoa(socket_address.sin_addr), strerror(errno));
}

void set_address(const char *interface, uint32_t address, uint32_t netmask) {
  set(interface, SIOCSIFADDR, address, "address");
  set(interface, SIOCSIFNETMASK, netmask, "netmask");
}

void set_gateway(const char *interface, uint32_t gateway) {
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = (char *)interface};
  struct sockaddr_in via = {.sin_family = AF_INET, .sin_addr = {gateway}}, all = {.sin_family = AF_INET};
  memcpy(&route.rt_gateway, &via, sizeof via);
  memcpy(&route.rt_dst, &all, sizeof all);
  memcpy(&route.rt_genmask, &all, sizeof all);
  if (control(AF_INET, SIOCADDRT, &route) != 0 && errno != EEXIST)
    fail("the gateway %s cannot be used: %s", inet_ntoa(via.sin_addr), strerror(errno));
}

/* "192.0.2.7/24" into an address and the length of the prefix; false when it is none. */
static bool parse_prefix(int family, const char *text, void *address, int *length) {
  char host[INET6_ADDRSTRLEN];
  const char *slash = strchr(text, '/');
  if (slash == NULL || (size_t)(slash - text) >= sizeof host) return false;
  memcpy(host, text, (size_t)(slash - text));
  host[slash - text] = '\0';
  char *end;
  long number = strtol(slash + 1, &end, 10);
  *length = (int)number;
  return slash[1] != '\0' && *end == '\0' && number >= 1 && number <= (family == AF_INET ? 32 : 128) && inet_pton(family, host, address) == 1;
}

/* Space between them in the option or in what DHCP says; commas as well. */
void write_nameservers(const char *servers) {
  char text[1024] = "", list[512];
  snprintf(list, sizeof list, "%s", servers);
  for (char *rest = list, *server; (server = strsep(&rest, ", ")) != NULL;) {
    struct in6_addr address;
    if (*server == '\0') continue;
    if (inet_pton(AF_INET, server, &address) != 1 && inet_pton(AF_INET6, server, &address) != 1)
      fail("--nameserver: %s is not an address: write for example --nameserver=192.0.2.53", server);
    size_t at = strlen(text);
    snprintf(text + at, sizeof text - at, "nameserver %s\n", server);
  }
  if (!write_file("/run/resolv.conf", text)) fail("/run/resolv.conf: %s", strerror(errno));
}

static void start_ipv4(const char *interface, const uint8_t hardware[6]) {
  const char *wanted = option("--ipv4", "dhcp"), *gateway = option("--ipv4-gateway", NULL);
  if (strcmp(wanted, "none") == 0) return;
  if (strcmp(wanted, "dhcp") == 0) {
    struct lease lease;
    if (!dhcp(interface, hardware, DHCP_WAIT_SECONDS, &lease))
      fail("no DHCP server has answered for %d s: is there one? Write --ipv4=ADDRESS/LENGTH otherwise, or --ipv4=none", DHCP_WAIT_SECONDS);
    set_address(interface, lease.address, lease.netmask);
    if (lease.gateway != 0) set_gateway(interface, lease.gateway);
    if (option("--nameserver", NULL) == NULL) write_nameservers(lease.nameservers);
    say(INFO, "network", "%s has %s by DHCP", interface, inet_ntoa((struct in_addr){lease.address}));
    dhcp_renew(interface, hardware, lease);
    return;
  }
  struct in_addr address, via;
  int length;
  if (!parse_prefix(AF_INET, wanted, &address, &length))
    fail("--ipv4=%s: write an address and the length of its prefix such as 192.0.2.7/24, or dhcp, or none", wanted);
  set_address(interface, address.s_addr, htonl(length == 0 ? 0 : UINT32_MAX << (32 - length)));
  if (gateway != NULL) {
    if (inet_pton(AF_INET, gateway, &via) != 1) fail("--ipv4-gateway=%s is not an address such as 192.0.2.1", gateway);
    set_gateway(interface, via.s_addr);
  }
  say(INFO, "network", "%s has %s", interface, wanted);
}

static void set_ipv6(const char *interface, const char *name, const char *value) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, name);
  write_file(path, value);
}

static void start_ipv6(const char *interface) {
  const char *wanted = option("--ipv6", "auto"), *gateway = option("--ipv6-gateway", NULL);
  struct in6_ifreq request = {0};
  struct ifreq index;
  int length;
  name_request(&index, interface);
  if (control(AF_INET, SIOCGIFINDEX, &index) != 0) fail("%s: %s", interface, strerror(errno));
  if (strcmp(wanted, "none") == 0) return set_ipv6(interface, "disable_ipv6", "1");
  if (strcmp(wanted, "auto") == 0) return;
  if (!parse_prefix(AF_INET6, wanted, &request.ifr6_addr, &length))
    fail("--ipv6=%s: write an address and the length of its prefix such as 2001:db8::7/64, or auto, or none", wanted);
  /* Whoever gives an address wants no others beside it. */
  set_ipv6(interface, "accept_ra", "0");
  request.ifr6_prefixlen = (uint32_t)length;
  request.ifr6_ifindex = index.ifr_ifindex;
  if (control(AF_INET6, SIOCSIFADDR, &request) != 0) fail("%s: address %s: %s", interface, wanted, strerror(errno));
  if (gateway != NULL) {
    struct in6_rtmsg route = {.rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1, .rtmsg_ifindex = index.ifr_ifindex};
    if (inet_pton(AF_INET6, gateway, &route.rtmsg_gateway) != 1) fail("--ipv6-gateway=%s is not an address such as 2001:db8::1", gateway);
    if (control(AF_INET6, SIOCADDRT, &route) != 0) fail("the gateway %s cannot be used: %s", gateway, strerror(errno));
  }
  say(INFO, "network", "%s has %s", interface, wanted);
}

void start_network(void) {
  char interface[IFNAMSIZ];
  uint8_t hardware[6];
  const char *nameservers = option("--nameserver", "");
  /* Of ::/0 too: what a router announces while the link comes up is not to be missed, and not to be taken where it is unwanted. */
  if (strcmp(option("--ipv6", "auto"), "none") == 0) set_ipv6("all", "disable_ipv6", "1");
  bring_up("lo");
  for (int waited = 0; !find_interface(interface, sizeof interface, hardware); waited += 50) {
    if (waited >= INTERFACE_WAIT_MS) fail("there is no network interface: attach one (virtio-net)");
    usleep(50000);
  }
  bring_up(interface);
  write_nameservers(nameservers);
  start_ipv6(interface);
  start_ipv4(interface, hardware);
}
