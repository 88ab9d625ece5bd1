"""The logging statements of HDFS (Hadoop of November 2008), numbered as the templates of LogHub's HDFS_v1."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One logging statement of HDFS.

    Attributes:
        component: class that logs it.
        text: text with named slots.
        template: text with ``<*>`` for what varies, as LogHub's structured files have it.
        level: log level.
    """

    component: str
    text: str
    template: str
    level: str = "INFO"


NODE = "dfs.DataNode"
XCEIVER = "dfs.DataNode$DataXceiver"
RECEIVER = "dfs.DataNode$BlockReceiver"
RESPONDER = "dfs.DataNode$PacketResponder"
TRANSFER = "dfs.DataNode$DataTransfer"
DATASET = "dfs.FSDataset"
SCANNER = "dfs.DataBlockScanner"
NAMES = "dfs.FSNamesystem"
PENDING = "dfs.PendingReplicationBlocks$PendingReplicationMonitor"

STATEMENTS: dict[int, Statement] = {
    1: Statement(
        DATASET,
        "Adding an already existing block {block}",
        "Adding an already existing block <*>",
    ),
    2: Statement(SCANNER, "Verification succeeded for {block}", "Verification succeeded for <*>"),
    3: Statement(XCEIVER, "{node}:50010 Served block {block} to /{peer}", "<*> Served block <*> to /<*>"),
    4: Statement(
        XCEIVER,
        "{node}:50010:Got exception while serving {block} to /{peer}:",
        "<*>:Got exception while serving <*> to /<*>",
        "WARN",
    ),
    5: Statement(
        XCEIVER,
        "Receiving block {block} src: /{node}:{port} dest: /{node}:50010",
        "Receiving block <*> src: /<*> dest: /<*>",
    ),
    6: Statement(
        XCEIVER,
        "Received block {block} src: /{peer}:{port} dest: /{peer}:50010 of size {size}",
        "Received block <*> src: /<*> dest: /<*> of size <*>",
    ),
    7: Statement(
        XCEIVER,
        "writeBlock {block} received exception java.io.IOException: Could not read from stream",
        "writeBlock <*> received exception <*>",
    ),
    8: Statement(
        RESPONDER,
        "PacketResponder {replica} for block {block} Interrupted.",
        "PacketResponder <*> for block <*> Interrupted.",
    ),
    9: Statement(
        RESPONDER, "Received block {block} of size {size} from /{node}", "Received block <*> of size <*> from /<*>"
    ),
    10: Statement(
        RESPONDER,
        "PacketResponder {block} {replica} Exception java.io.EOFException",
        "PacketResponder <*> <*> Exception <*>",
    ),
    11: Statement(
        RESPONDER,
        "PacketResponder {replica} for block {block} terminating",
        "PacketResponder <*> for block <*> terminating",
    ),
    12: Statement(
        RECEIVER,
        "{node}:50010:Exception writing block {block} to mirror {peer}:50010",
        "<*>:Exception writing block <*> to mirror <*>",
        "WARN",
    ),
    13: Statement(RECEIVER, "Receiving empty packet for block {block}", "Receiving empty packet for block <*>"),
    14: Statement(
        RECEIVER,
        "Exception in receiveBlock for block {block} java.io.IOException: Connection reset by peer",
        "Exception in receiveBlock for block <*> <*>",
    ),
    15: Statement(
        RECEIVER,
        "Changing block file offset of block {block} from 0 to {size} meta file offset to {port}",
        "Changing block file offset of block <*> from <*> to <*> meta file offset to <*>",
    ),
    16: Statement(
        TRANSFER,
        "{node}:50010:Transmitted block {block} to /{peer}:50010",
        "<*>:Transmitted block <*> to /<*>",
    ),
    17: Statement(
        TRANSFER,
        "{node}:50010:Failed to transfer {block} to {peer}:50010 got java.io.IOException: Connection reset by peer",
        "<*>:Failed to transfer <*> to <*> got <*>",
        "WARN",
    ),
    18: Statement(
        NODE,
        "{node}:50010 Starting thread to transfer block {block} to {peer}:50010",
        "<*> Starting thread to transfer block <*> to <*>",
    ),
    19: Statement(DATASET, "Reopen Block {block}", "Reopen Block <*>"),
    20: Statement(
        DATASET,
        "Unexpected error trying to delete block {block}. BlockInfo not found in volumeMap.",
        "Unexpected error trying to delete block <*>. BlockInfo not found in volumeMap.",
        "WARN",
    ),
    21: Statement(
        DATASET,
        "Deleting block {block} file /mnt/hadoop/dfs/data/current/subdir{folder}/{block}",
        "Deleting block <*> file <*>",
    ),
    22: Statement(
        NAMES,
        "BLOCK* NameSystem.allocateBlock: /user/hadoop/rand/_temporary/_task_200811092030_0001_m_{task}_0/part-{part}. "
        "{block}",
        "BLOCK* NameSystem.allocateBlock:<*>",
    ),
    23: Statement(
        NAMES,
        "BLOCK* NameSystem.delete: {block} is added to invalidSet of {node}:50010",
        "BLOCK* NameSystem.delete: <*> is added to invalidSet of <*>",
    ),
    24: Statement(
        NAMES,
        "BLOCK* Removing block {block} from neededReplications as it does not belong to any file.",
        "BLOCK* Removing block <*> from neededReplications as it does not belong to any file.",
    ),
    25: Statement(
        NAMES,
        "BLOCK* ask {node}:50010 to replicate {block} to datanode(s) {peer}:50010",
        "BLOCK* ask <*> to replicate <*> to datanode(s) <*>",
    ),
    26: Statement(
        NAMES,
        "BLOCK* NameSystem.addStoredBlock: blockMap updated: {node}:50010 is added to {block} size {size}",
        "BLOCK* NameSystem.addStoredBlock: blockMap updated: <*> is added to <*> size <*>",
    ),
    27: Statement(
        NAMES,
        "BLOCK* NameSystem.addStoredBlock: Redundant addStoredBlock request received for {block} on {node}:50010 "
        "size {size}",
        "BLOCK* NameSystem.addStoredBlock: Redundant addStoredBlock request received for <*> on <*> size <*>",
        "WARN",
    ),
    28: Statement(
        NAMES,
        "BLOCK* NameSystem.addStoredBlock: addStoredBlock request received for {block} on {node}:50010 size {size} "
        "But it does not belong to any file.",
        "BLOCK* NameSystem.addStoredBlock: addStoredBlock request received for <*> on <*> size <*> "
        "But it does not belong to any file.",
    ),
    29: Statement(
        PENDING, "PendingReplicationMonitor timed out block {block}", "PendingReplicationMonitor timed out block <*>"
    ),
    30: Statement(NAMES, "BLOCK* ask {node}:50010 to delete {block}", "BLOCK* ask <*> to delete <*>"),
}
