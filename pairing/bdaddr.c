/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bdaddr.h"

#include <string.h>

bool sh_bdaddr_read(const char *text, struct sh_bdaddr *ret_address)
{
    char octets[18] = "";
    size_t n = strcspn(text, "/");
    struct sh_bdaddr address = {.type = BDADDR_LE_PUBLIC};
    if (n != sizeof(octets) - 1)
        return false;
    memcpy(octets, text, n);
    if (strcmp(text + n, "/random") == 0)
        address.type = BDADDR_LE_RANDOM;
    else if (strcmp(text + n, "/public") != 0)
        return false;
    if (bachk(octets) != 0 || str2ba(octets, &address.octets) != 0)
        return false;
    *ret_address = address;
    return true;
}
