/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wifi_nl.h"

#include <linux/nl80211.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/clock.h"

#define READ_TRIES   3 /* the kernel says when something changed while it told */
#define BUFFER_SIZE  32768
#define RECEIVE_WAIT ((struct timeval){.tv_sec = 1})
#define EXCHANGE_MS  3000

struct nl80211 {
    struct nl_sock *sock;
    int family;
};

static void nl80211_close(struct nl80211 *nl)
{
    nl_socket_free(nl->sock);
}

static void msg_freep(struct nl_msg **msg)
{
    nlmsg_free(*msg);
}
#define AUTO_MSG SH_CLEANUP(msg_freep) struct nl_msg
#define AUTO_NL  SH_CLEANUP(nl80211_close) struct nl80211

enum sh_cause sh_wifi_nl_cause(int error, const char *what)
{
    const char *why = nl_geterror(error);
    switch (-error) {
    case NLE_PERM:
    case NLE_NOACCESS:
        return sh_fail(SH_WIFI_PERMISSION, "%s: %s", what, why);
    case NLE_NOMEM:
        return SH_ENV_NO_MEMORY;
    case NLE_OPNOTSUPP:
        return sh_fail(SH_WIFI_NO_P2P, "%s: %s", what, why);
    case NLE_EXIST:
    case NLE_BUSY:
        return sh_fail(SH_WIFI_OWNED, "%s: %s", what, why);
    case NLE_NODEV:
    case NLE_OBJ_NOTFOUND:
        return sh_fail(SH_WIFI_ABSENT, "%s: %s", what, why);
    default:
        return sh_fail(SH_ENV_RADIO_FAILED, "%s: %s", what, why);
    }
}

static enum sh_cause nl80211_open(struct nl80211 *nl)
{
    const struct timeval wait = RECEIVE_WAIT;
    nl->sock = nl_socket_alloc();
    if (!nl->sock)
        return SH_ENV_NO_MEMORY;
    int error = genl_connect(nl->sock);
    if (error < 0)
        return sh_wifi_nl_cause(error, "generic netlink");
    int fd = nl_socket_get_fd(nl->sock);
    nl_socket_set_msg_buf_size(nl->sock, BUFFER_SIZE);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
        return sh_fail(SH_ENV_RADIO_FAILED, "nl80211: no time-out");
    nl->family = genl_ctrl_resolve(nl->sock, NL80211_GENL_NAME);
    if (nl->family < 0)
        return sh_fail(SH_WIFI_ABSENT, "this kernel has no Wi-Fi: nl80211 is not there");
    return SH_OK;
}

/* ---- Requests ---- */

struct request {
    void (*parse)(struct sh_bytes attributes, struct sh_wifi_radio *radio);
    struct sh_wifi_radio *radio;
    int error;
    bool done;
};

static int on_valid(struct nl_msg *msg, void *user)
{
    struct request *request = user;
    struct genlmsghdr *header = genlmsg_hdr(nlmsg_hdr(msg));
    int n = genlmsg_attrlen(header, 0);
    if (n > 0 && request->parse)
        request->parse(SH_BYTES(genlmsg_attrdata(header, 0), n), request->radio);
    return NL_OK;
}

static int on_finish(struct nl_msg *msg SH_UNUSED, void *user)
{
    ((struct request *)user)->done = true;
    return NL_STOP;
}

static int on_error(struct sockaddr_nl *from SH_UNUSED, struct nlmsgerr *error, void *user)
{
    struct request *request = user;
    request->error = -nl_syserr2nlerr(error->error);
    request->done = true;
    return NL_STOP;
}

static void cb_putp(struct nl_cb **cb)
{
    if (*cb)
        nl_cb_put(*cb);
}

/* Sends msg and hears all its answers. A negative libnl error. */
static int exchange(struct nl80211 *nl, struct nl_msg *msg, struct request *request)
{
    SH_CLEANUP(cb_putp) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
    if (!cb)
        return -NLE_NOMEM;
    nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, request);
    nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, request);
    nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_finish, request);
    nl_cb_err(cb, NL_CB_CUSTOM, on_error, request);
    sh_ms until = sh_now() + EXCHANGE_MS;
    int error = nl_send_auto(nl->sock, msg);
    while (error >= 0 && !request->done && sh_now() < until)
        /* waits: a second for each, by SO_RCVTIMEO */
        error = nl_recvmsgs(nl->sock, cb);
    if (error >= 0 && !request->done)
        return -NLE_AGAIN;
    return error < 0 ? error : request->error;
}

static struct nl_msg *new_request(const struct nl80211 *nl, uint8_t command, int flags)
{
    struct nl_msg *msg = nlmsg_alloc();
    if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, command, 0)) {
        nlmsg_free(msg);
        return NULL;
    }
    return msg;
}

static int dump(struct nl80211 *nl, uint8_t command,
                void (*parse)(struct sh_bytes, struct sh_wifi_radio *), struct sh_wifi_radio *radio)
{
    struct request request = {.parse = parse, .radio = radio};
    AUTO_MSG *msg = new_request(nl, command, NLM_F_DUMP);
    if (!msg)
        return -NLE_NOMEM;
    if (command == NL80211_CMD_GET_WIPHY && nla_put_flag(msg, NL80211_ATTR_SPLIT_WIPHY_DUMP) < 0)
        return -NLE_NOMEM;
    return exchange(nl, msg, &request);
}

/* ---- The snapshot ---- */

static void read_flags(struct sh_wifi_radio *radio)
{
    sh_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; fd >= 0 && i < radio->iface_count; i++) {
        struct sh_wifi_iface *iface = &radio->ifaces[i];
        struct ifreq request = {0};
        if (iface->ifindex == 0 ||
            !sh_strcopy(request.ifr_name, sizeof(request.ifr_name), iface->name))
            continue;
        iface->up = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP);
    }
}

static int read_all(struct nl80211 *nl, struct sh_wifi_radio *radio)
{
    *radio = (struct sh_wifi_radio){.phy_count = 0};
    int error = dump(nl, NL80211_CMD_GET_WIPHY, sh_wifi_nl_parse_phy, radio);
    if (error >= 0)
        error = dump(nl, NL80211_CMD_GET_INTERFACE, sh_wifi_nl_parse_iface, radio);
    if (error >= 0 && dump(nl, NL80211_CMD_GET_REG, sh_wifi_nl_parse_country, radio) < 0)
        radio->country[0] = '\0'; /* only said to a person */
    return error;
}

enum sh_cause sh_wifi_nl_read(struct sh_wifi_radio *ret_radio)
{
    AUTO_NL nl = {.sock = NULL};
    int error = -NLE_DUMP_INTR;
    SH_TRY(nl80211_open(&nl));
    for (unsigned i = 0; i < READ_TRIES && error == -NLE_DUMP_INTR; i++)
        error = read_all(&nl, ret_radio);
    if (error < 0) {
        *ret_radio = (struct sh_wifi_radio){.phy_count = 0};
        return sh_wifi_nl_cause(error, "nl80211");
    }
    read_flags(ret_radio);
    return SH_OK;
}

/* ---- Interfaces ---- */

enum sh_cause sh_wifi_nl_add_station(uint32_t phy, const char *name, const uint8_t address[6],
                                     uint32_t *ret_ifindex)
{
    AUTO_NL nl = {.sock = NULL};
    struct request request = {.done = false};
    SH_TRY(nl80211_open(&nl));
    AUTO_MSG *msg = new_request(&nl, NL80211_CMD_NEW_INTERFACE, NLM_F_ACK);
    if (!msg || nla_put_u32(msg, NL80211_ATTR_WIPHY, phy) < 0 ||
        nla_put_string(msg, NL80211_ATTR_IFNAME, name) < 0 ||
        nla_put_u32(msg, NL80211_ATTR_IFTYPE, NL80211_IFTYPE_STATION) < 0 ||
        nla_put(msg, NL80211_ATTR_MAC, 6, address) < 0)
        return SH_ENV_NO_MEMORY;
    int error = exchange(&nl, msg, &request);
    if (error < 0)
        return sh_wifi_nl_cause(error, "a second station interface");
    unsigned ifindex = if_nametoindex(name);
    if (ifindex == 0)
        return sh_fail(SH_WIFI_ABSENT, "%s: made, but not there", name);
    *ret_ifindex = ifindex;
    return SH_OK;
}

enum sh_cause sh_wifi_nl_remove(uint32_t ifindex)
{
    AUTO_NL nl = {.sock = NULL};
    struct request request = {.done = false};
    SH_TRY(nl80211_open(&nl));
    AUTO_MSG *msg = new_request(&nl, NL80211_CMD_DEL_INTERFACE, NLM_F_ACK);
    if (!msg || nla_put_u32(msg, NL80211_ATTR_IFINDEX, ifindex) < 0)
        return SH_ENV_NO_MEMORY;
    int error = exchange(&nl, msg, &request);
    return error < 0 && error != -NLE_NODEV ? sh_wifi_nl_cause(error, "removing an interface")
                                            : SH_OK;
}
