/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/mgmt_info.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pairing/hci_socket.h"
#include "pairing/mgmt_packet.h"
#include "proto/log.h"
#include "proto/slow.h"

struct sh_mgmt_info {
    uint16_t index;
    void (*told)(uint32_t settings, void *user);
    void *user;
    int fd;
    struct event *readable, *limit;
};

/* Asked and answered, or not. A management socket that stays open is told of all that goes on. */
static void stop(struct sh_mgmt_info *info)
{
    struct event **events[] = {&info->readable, &info->limit};
    for (size_t i = 0; i < SH_COUNT(events); i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
    sh_closep(&info->fd);
    info->fd = -1;
}

static void on_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    SH_SLOW("mgmt info");
    struct sh_mgmt_info *info = user;
    uint8_t packet[SH_MGMT_EVENT_MAX];
    struct sh_mgmt_answer answer;
    ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        sh_log("mgmt info: hci%u: %s", info->index, n < 0 ? strerror(errno) : "closed");
        stop(info);
        return;
    }
    if (!sh_mgmt_answer_read(SH_BYTES(packet, (size_t)n), &answer) ||
        answer.opcode != SH_MGMT_READ_INFO || answer.index != info->index)
        return;
    stop(info);
    if (answer.status == 0)
        info->told(answer.settings, info->user);
}

static void on_limit(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("mgmt info limit");
    stop(user);
}

static int ask(uint16_t index, int fd)
{
    uint8_t packet[SH_MGMT_ASK_MAX];
    size_t n = sh_mgmt_ask_info(index, packet);
    if (fd < 0 || send(fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
        return errno;
    return 0;
}

enum sh_cause sh_mgmt_info_new(struct event_base *base, uint16_t index,
                               void (*told)(uint32_t settings, void *user), void *user,
                               struct sh_mgmt_info **ret_info)
{
    static const struct timeval limit = {.tv_sec = SH_MGMT_INFO_MS / 1000};
    struct sh_mgmt_info *info = calloc(1, sizeof(*info));
    if (!info)
        return SH_ENV_NO_MEMORY;
    *info = (struct sh_mgmt_info){.index = index, .told = told, .user = user};
    info->fd = sh_hci_socket(HCI_DEV_NONE, HCI_CHANNEL_CONTROL);
    int error = ask(index, info->fd);
    if (error != 0) {
        sh_mgmt_info_free(info);
        return sh_fail(SH_ENV_PERMISSION, "management socket: %s", strerror(error));
    }
    /* The limit is an event of its own: one of the socket's would begin anew with all that comes in. */
    info->readable = event_new(base, info->fd, EV_READ | EV_PERSIST, on_readable, info);
    info->limit = evtimer_new(base, on_limit, info);
    if (!info->readable || !info->limit || event_add(info->readable, NULL) != 0 ||
        event_add(info->limit, &limit) != 0) {
        sh_mgmt_info_free(info);
        return SH_ENV_NO_MEMORY;
    }
    *ret_info = info;
    return SH_OK;
}

void sh_mgmt_info_free(struct sh_mgmt_info *info)
{
    if (!info)
        return;
    stop(info);
    free(info);
}
