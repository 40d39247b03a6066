/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/netif.h"

#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "proto/slow.h"

#define RECEIVE_WAIT ((struct timeval){.tv_sec = 1})

bool sh_netif_find(const char *iface, uint32_t *ret_ifindex, uint8_t ret_address[6])
{
    struct ifreq request = {.ifr_ifindex = 0};
    uint32_t ifindex = if_nametoindex(iface);
    sh_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ifindex == 0 || fd < 0 || !sh_strcopy(request.ifr_name, sizeof(request.ifr_name), iface) ||
        ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return false;
    *ret_ifindex = ifindex;
    memcpy(ret_address, request.ifr_hwaddr.sa_data, 6);
    return true;
}

/* ---- Addresses ---- */

static void sock_freep(struct nl_sock **sock)
{
    nl_socket_free(*sock);
}

static void addr_freep(struct rtnl_addr **addr)
{
    if (*addr)
        rtnl_addr_put(*addr);
}

static void nl_addr_freep(struct nl_addr **addr)
{
    nl_addr_put(*addr);
}

/* Link-local, otherwise random. */
static enum sh_cause make_address(size_t len, struct sh_tcp_address *ret_address)
{
    uint8_t random[8];
    struct sh_tcp_address address = {.len = len};
    SH_TRY(sh_random(random, sizeof(random)));
    if (len == 16) {
        address.bytes[0] = 0xfe;
        address.bytes[1] = 0x80;
        memcpy(address.bytes + 8, random, sizeof(random));
        address.bytes[8] &= 0xfd; /* not made of a MAC address */
    } else {
        address.bytes[0] = 169;
        address.bytes[1] = 254;
        address.bytes[2] = (uint8_t)(1 + random[0] % 254); /* the first and last 256 are reserved */
        address.bytes[3] = (uint8_t)(1 + random[1] % 254);
    }
    *ret_address = address;
    return SH_OK;
}

/* A negative libnl error. */
static int change_address(struct nl_sock *sock, uint32_t ifindex,
                          const struct sh_tcp_address *address, bool add)
{
    bool ipv6 = address->len == 16;
    SH_CLEANUP(addr_freep) struct rtnl_addr *addr = rtnl_addr_alloc();
    SH_CLEANUP(nl_addr_freep)
    struct nl_addr *local = nl_addr_build(ipv6 ? AF_INET6 : AF_INET, address->bytes, address->len);
    if (!addr || !local)
        return -NLE_NOMEM;
    nl_addr_set_prefixlen(local, ipv6 ? 64 : 16);
    rtnl_addr_set_ifindex(addr, (int)ifindex);
    rtnl_addr_set_scope(addr, RT_SCOPE_LINK);
    if (ipv6)
        rtnl_addr_set_flags(addr, IFA_F_NODAD);
    int error = rtnl_addr_set_local(addr, local);
    if (error < 0)
        return error;
    return add ? rtnl_addr_add(sock, addr, NLM_F_CREATE | NLM_F_EXCL)
               : rtnl_addr_delete(sock, addr, 0);
}

/* NULL: none. */
static struct nl_sock *open_route(void)
{
    const struct timeval wait = RECEIVE_WAIT;
    struct nl_sock *sock = nl_socket_alloc();
    if (sock &&
        (nl_connect(sock, NETLINK_ROUTE) < 0 ||
         setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)) {
        nl_socket_free(sock);
        return NULL;
    }
    return sock;
}

static size_t kernels_own(const char *iface, struct sh_tcp_address *out)
{
    struct ifaddrs *list = NULL;
    size_t count = 0;
    if (getifaddrs(&list) < 0)
        return 0;
    for (const struct ifaddrs *at = list; at && count == 0; at = at->ifa_next) {
        struct sockaddr_in6 in6;
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET6 ||
            strcmp(at->ifa_name, iface) != 0)
            continue;
        memcpy(&in6, at->ifa_addr, sizeof(in6));
        if (!IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
            continue;
        out->len = 16;
        memcpy(out->bytes, &in6.sin6_addr, 16);
        count = 1;
    }
    freeifaddrs(list);
    return count;
}

size_t sh_netif_add_addresses(const char *iface, uint32_t ifindex, struct sh_tcp_address out[2],
                              enum sh_cause *ret_cause)
{
    static const size_t lengths[] = {16, 4};
    size_t count = 0;
    bool denied = false;
    SH_CLEANUP(sock_freep) struct nl_sock *sock = open_route();
    *ret_cause = SH_ENV_NO_MEMORY;
    if (!sock)
        return 0;
    for (size_t i = 0; i < SH_COUNT(lengths); i++) {
        if (make_address(lengths[i], &out[count]) != SH_OK)
            return 0;
        int error = change_address(sock, ifindex, &out[count], true);
        denied = denied || error == -NLE_PERM;
        if (error < 0)
            sh_log("%s: no address of %zu octets: %s", iface, lengths[i], nl_geterror(error));
        else
            count++;
    }
    if (count == 0 && denied)
        count = kernels_own(iface, &out[0]);
    *ret_cause = SH_OK;
    if (count == 0)
        *ret_cause = denied ? sh_fail(SH_WIFI_PERMISSION, "%s: no right to add an address", iface)
                            : sh_fail(SH_WIFI_NO_ADDRESS,
                                      "net.ipv6.conf.%s.disable_ipv6, and no IPv4", iface);
    return count;
}

void sh_netif_remove_addresses(uint32_t ifindex, const struct sh_tcp_address *addresses,
                               size_t count)
{
    SH_CLEANUP(sock_freep) struct nl_sock *sock = open_route();
    for (size_t i = 0; sock && i < count; i++) {
        int error = change_address(sock, ifindex, &addresses[i], false);
        if (error < 0)
            sh_log("interface %u: an address stays: %s", ifindex, nl_geterror(error));
    }
}

/* ---- The news ---- */

struct sh_netif_watch {
    void (*news)(void *user);
    void *user;
    uint32_t ifindex; /* 0: it watches addresses, for as long as it lives */
    bool may_be_down; /* only its removal is news */
    struct nl_sock *sock;
    struct event *readable;
    bool is_news;
};

static int on_message(struct nl_msg *msg, void *user)
{
    struct sh_netif_watch *w = user;
    struct nlmsghdr *header = nlmsg_hdr(msg);
    if (w->ifindex == 0) {
        w->is_news |= header->nlmsg_type == RTM_NEWADDR || header->nlmsg_type == RTM_DELADDR;
        return NL_OK;
    }
    if ((header->nlmsg_type != RTM_DELLINK && header->nlmsg_type != RTM_NEWLINK) ||
        !nlmsg_valid_hdr(header, sizeof(struct ifinfomsg)))
        return NL_OK;
    const struct ifinfomsg *info = nlmsg_data(header);
    if ((uint32_t)info->ifi_index == w->ifindex &&
        (header->nlmsg_type == RTM_DELLINK || (!w->may_be_down && !(info->ifi_flags & IFF_UP))))
        w->is_news = true;
    return NL_OK;
}

static bool is_removed(const struct sh_netif_watch *w)
{
    char name[IF_NAMESIZE];
    return if_indextoname(w->ifindex, name) == NULL;
}

static void on_readable(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("netif");
    struct sh_netif_watch *w = user;
    /* waits: readable, and non-blocking */
    int error = nl_recvmsgs_default(w->sock);
    if (error == -NLE_NOMEM) /* news were lost: look */
        w->is_news = w->ifindex == 0 || is_removed(w);
    w->is_news |= w->may_be_down && is_removed(w);
    if (!w->is_news)
        return;
    w->is_news = false;
    if (w->ifindex > 0)
        event_del(w->readable);
    w->news(w->user);
}

/* groups: two of RTNLGRP_*; the second may be RTNLGRP_NONE. */
static enum sh_cause watch_new(struct event_base *base, uint32_t ifindex, const int groups[2],
                               void (*news)(void *user), void *user,
                               struct sh_netif_watch **ret_watch)
{
    struct sh_netif_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return SH_ENV_NO_MEMORY;
    *w = (struct sh_netif_watch){.news = news, .user = user, .ifindex = ifindex};
    w->sock = nl_socket_alloc();
    int error = w->sock ? nl_connect(w->sock, NETLINK_ROUTE) : -NLE_NOMEM;
    if (error >= 0) {
        nl_socket_disable_seq_check(w->sock);
        error = nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
    }
    if (error >= 0)
        error = nl_socket_set_nonblocking(w->sock);
    if (error >= 0)
        error = nl_socket_add_memberships(w->sock, groups[0], groups[1], RTNLGRP_NONE);
    if (error < 0) {
        sh_netif_watch_free(w);
        return sh_fail(SH_ENV_RADIO_FAILED, "rtnetlink: %s", nl_geterror(error));
    }
    w->readable = event_new(base, nl_socket_get_fd(w->sock), EV_READ | EV_PERSIST, on_readable, w);
    if (!w->readable || event_add(w->readable, NULL) < 0) {
        sh_netif_watch_free(w);
        return SH_ENV_NO_MEMORY;
    }
    *ret_watch = w;
    return SH_OK;
}

enum sh_cause sh_netif_watch_new(struct event_base *base, uint32_t ifindex,
                                 void (*gone)(void *user), void *user,
                                 struct sh_netif_watch **ret_watch)
{
    static const int groups[] = {RTNLGRP_LINK, RTNLGRP_NONE};
    return watch_new(base, ifindex, groups, gone, user, ret_watch);
}

enum sh_cause sh_netif_watch_removal(struct event_base *base, uint32_t ifindex,
                                     void (*gone)(void *user), void *user,
                                     struct sh_netif_watch **ret_watch)
{
    struct sh_netif_watch *w = NULL;
    SH_TRY(sh_netif_watch_new(base, ifindex, gone, user, &w));
    w->may_be_down = true;
    if (is_removed(w))
        event_active(w->readable, EV_READ, 1);
    *ret_watch = w;
    return SH_OK;
}

enum sh_cause sh_netif_watch_addresses(struct event_base *base, void (*changed)(void *user),
                                       void *user, struct sh_netif_watch **ret_watch)
{
    static const int groups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
    return watch_new(base, 0, groups, changed, user, ret_watch);
}

void sh_netif_watch_free(struct sh_netif_watch *w)
{
    if (!w)
        return;
    if (w->readable)
        event_free(w->readable);
    nl_socket_free(w->sock);
    free(w);
}
