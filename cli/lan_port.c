/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/lan_port.h"

#include <stdio.h>

#include "crypto/keyfile.h"

#define FILE_NAME "lan-port"

uint16_t sh_lan_port_read(const char *state)
{
    struct sh_keyfile file = {.n = 0};
    bool found = false;
    unsigned port = 0;
    if (sh_keyfile_read(state, FILE_NAME, &file, &found) != SH_OK || !found)
        return 0;
    for (size_t i = 0; i < file.n && port <= UINT16_MAX; i++) {
        if (file.b[i] == '\n' && i > 0 && i == file.n - 1)
            return (uint16_t)port;
        if (file.b[i] < '0' || file.b[i] > '9')
            return 0;
        port = port * 10 + (unsigned)(file.b[i] - '0');
    }
    return 0;
}

enum sh_cause sh_lan_port_keep(const char *state, uint16_t port)
{
    struct sh_keyfile file = {.n = 0};
    if (port == 0 || port == sh_lan_port_read(state))
        return SH_OK;
    file.n = (size_t)snprintf((char *)file.b, sizeof(file.b), "%u\n", (unsigned)port);
    return sh_keyfile_write(state, FILE_NAME, &file, true);
}
