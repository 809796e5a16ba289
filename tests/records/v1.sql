BEGIN TRANSACTION;
CREATE TABLE run (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT,
    engine TEXT NOT NULL,      -- JSON: the endpoint and its capabilities
    bases TEXT NOT NULL        -- JSON: name, image id, stand-in or official
);
INSERT INTO "run" VALUES('20261126t235714-d6fc','2026-11-26T23:57:45.143+00:00','2026-11-26T23:58:19.929+00:00','{"host": "unix:///root/c/record/layerlab/engine/docker.sock", "engine": "28.5.2+dfsg4", "api": "1.51", "image_store": "overlay2", "buildx": "0.29.1+ds1", "compose": "2.40.3-3", "rootless": false, "platform": "linux/amd64", "cpus": 2, "memory_bytes": 25276502016}','[{"name": "python:3.11-slim", "reference": "python:3.11-slim", "standin": true, "image_id": "sha256:1ff61aa05f59acb5e6310cc9e4075b5b7a4bca753f3c38de49668974e3eb239d", "how": "built", "digest": null}]');
CREATE TABLE sample (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, measured TEXT NOT NULL,
    experiment TEXT NOT NULL, variant TEXT NOT NULL,
    digest TEXT NOT NULL,      -- sha256 of the variant's Dockerfile and ignore file
    scenario TEXT NOT NULL, round INTEGER NOT NULL,
    position INTEGER NOT NULL, -- the variant's turn within the round, from 1
    metric TEXT NOT NULL, value REAL NOT NULL, unit TEXT NOT NULL,
    valid INTEGER NOT NULL, reason TEXT
);
INSERT INTO "sample" VALUES(1,'20261126t235714-d6fc','2026-11-26T23:57:54.114+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'unpacked',178494464.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(2,'20261126t235714-d6fc','2026-11-26T23:57:54.117+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'files',172166752.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(3,'20261126t235714-d6fc','2026-11-26T23:57:54.125+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'compressed',64028723.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(4,'20261126t235714-d6fc','2026-11-26T23:57:54.129+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'own-unpacked',32747520.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(5,'20261126t235714-d6fc','2026-11-26T23:57:54.133+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'own-files',31794503.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(6,'20261126t235714-d6fc','2026-11-26T23:57:54.141+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'own-compressed',9931139.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(7,'20261126t235714-d6fc','2026-11-26T23:57:54.146+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'waste',88.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(8,'20261126t235714-d6fc','2026-11-26T23:57:54.152+00:00','image-size','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','image',1,1,'layers',6.0,'layers',1,NULL);
INSERT INTO "sample" VALUES(9,'20261126t235714-d6fc','2026-11-26T23:58:02.328+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','cold',1,1,'wall',8.14589011399994,'s',1,NULL);
INSERT INTO "sample" VALUES(10,'20261126t235714-d6fc','2026-11-26T23:58:02.329+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','cold',1,1,'engine',7.55259013175964355468e+00,'s',1,NULL);
INSERT INTO "sample" VALUES(11,'20261126t235714-d6fc','2026-11-26T23:58:02.330+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','cold',1,1,'context',24106.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(12,'20261126t235714-d6fc','2026-11-26T23:58:02.331+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','cold',1,1,'reused',0.0,'steps',1,NULL);
INSERT INTO "sample" VALUES(13,'20261126t235714-d6fc','2026-11-26T23:58:02.922+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','no-change',1,1,'wall',5.90312810999876091955e-01,'s',1,NULL);
INSERT INTO "sample" VALUES(14,'20261126t235714-d6fc','2026-11-26T23:58:02.924+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','no-change',1,1,'engine',7.57505893707275390625e-02,'s',1,NULL);
INSERT INTO "sample" VALUES(15,'20261126t235714-d6fc','2026-11-26T23:58:02.924+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','no-change',1,1,'context',440.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(16,'20261126t235714-d6fc','2026-11-26T23:58:02.924+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','no-change',1,1,'reused',3.0,'steps',1,NULL);
INSERT INTO "sample" VALUES(17,'20261126t235714-d6fc','2026-11-26T23:58:03.612+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','source-edit',1,1,'wall',6.86720194999907107558e-01,'s',1,NULL);
INSERT INTO "sample" VALUES(18,'20261126t235714-d6fc','2026-11-26T23:58:03.613+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','source-edit',1,1,'engine',2.206859588623046875e-01,'s',1,NULL);
INSERT INTO "sample" VALUES(19,'20261126t235714-d6fc','2026-11-26T23:58:03.613+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','source-edit',1,1,'context',2273.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(20,'20261126t235714-d6fc','2026-11-26T23:58:03.614+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','source-edit',1,1,'reused',2.0,'steps',1,NULL);
INSERT INTO "sample" VALUES(21,'20261126t235714-d6fc','2026-11-26T23:58:14.559+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','requirements-edit',1,1,'wall',1.0943897570999979507e+01,'s',1,NULL);
INSERT INTO "sample" VALUES(22,'20261126t235714-d6fc','2026-11-26T23:58:14.559+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','requirements-edit',1,1,'engine',1.02726426124572753904e+01,'s',1,NULL);
INSERT INTO "sample" VALUES(23,'20261126t235714-d6fc','2026-11-26T23:58:14.559+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','requirements-edit',1,1,'context',691.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(24,'20261126t235714-d6fc','2026-11-26T23:58:14.560+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','requirements-edit',1,1,'reused',0.0,'steps',1,NULL);
INSERT INTO "sample" VALUES(25,'20261126t235714-d6fc','2026-11-26T23:58:16.048+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','unrelated-edit',1,1,'wall',1.48671856200007823645e+00,'s',1,NULL);
INSERT INTO "sample" VALUES(26,'20261126t235714-d6fc','2026-11-26T23:58:16.055+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','unrelated-edit',1,1,'engine',1.7821979522705078125e-01,'s',1,NULL);
INSERT INTO "sample" VALUES(27,'20261126t235714-d6fc','2026-11-26T23:58:16.073+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','unrelated-edit',1,1,'context',949.0,'bytes',1,NULL);
INSERT INTO "sample" VALUES(28,'20261126t235714-d6fc','2026-11-26T23:58:16.076+00:00','layer-cache','cache-ordered','0f0c7136a487aee7b2b5edfa6ab6675a32ba1d8043ca0b0b46c153b28a3140e1','unrelated-edit',1,1,'reused',2.0,'steps',1,NULL);
CREATE TABLE step (
    sample INTEGER NOT NULL REFERENCES sample, ordinal INTEGER NOT NULL,
    stage TEXT NOT NULL, position INTEGER NOT NULL, total INTEGER NOT NULL,
    instruction TEXT NOT NULL, line INTEGER NOT NULL, cached INTEGER NOT NULL,
    seconds REAL NOT NULL, offset_seconds REAL NOT NULL, error TEXT,
    PRIMARY KEY (sample, ordinal)
);
INSERT INTO "step" VALUES(9,0,'',1,5,'FROM docker.io/library/python:3.11-slim',4,0,1.771450042724609375e-04,5.6555271148681640625e-02,NULL);
INSERT INTO "step" VALUES(9,1,'',2,5,'WORKDIR /app',5,1,1.59740447998046875e-05,0.0575103759765625,NULL);
INSERT INTO "step" VALUES(9,2,'',3,5,'COPY requirements.txt .',6,0,3.066539764404296875e-02,1.41841411590576171875e-01,NULL);
INSERT INTO "step" VALUES(9,3,'',4,5,'RUN pip install --no-cache-dir -r requirements.txt',7,0,7.09883522987365722656e+00,1.7675113677978515625e-01,NULL);
INSERT INTO "step" VALUES(9,4,'',5,5,'COPY . .',8,0,5.81533908843994140625e-02,7.28519320487976074218e+00,NULL);
INSERT INTO "step" VALUES(13,0,'',1,5,'FROM docker.io/library/python:3.11-slim',4,0,2.0198822021484375e-03,5.2088260650634765625e-02,NULL);
INSERT INTO "step" VALUES(13,1,'',2,5,'WORKDIR /app',5,1,0.0,7.12502002716064453125e-02,NULL);
INSERT INTO "step" VALUES(13,2,'',3,5,'COPY requirements.txt .',6,1,0.0,7.12502002716064453125e-02,NULL);
INSERT INTO "step" VALUES(13,3,'',4,5,'RUN pip install --no-cache-dir -r requirements.txt',7,1,0.0,7.12502002716064453125e-02,NULL);
INSERT INTO "step" VALUES(13,4,'',5,5,'COPY . .',8,1,3.55243682861328125e-05,7.12502002716064453125e-02,NULL);
INSERT INTO "step" VALUES(17,0,'',1,5,'FROM docker.io/library/python:3.11-slim',4,0,2.076625823974609375e-04,3.9480686187744140625e-02,NULL);
INSERT INTO "step" VALUES(17,1,'',2,5,'WORKDIR /app',5,1,0.0,5.27727603912353515625e-02,NULL);
INSERT INTO "step" VALUES(17,2,'',3,5,'COPY requirements.txt .',6,1,0.0,5.27727603912353515625e-02,NULL);
INSERT INTO "step" VALUES(17,3,'',4,5,'RUN pip install --no-cache-dir -r requirements.txt',7,1,2.12192535400390625e-05,5.27727603912353515625e-02,NULL);
INSERT INTO "step" VALUES(17,4,'',5,5,'COPY . .',8,0,4.312419891357421875e-02,5.2834987640380859375e-02,NULL);
INSERT INTO "step" VALUES(21,0,'',1,5,'FROM docker.io/library/python:3.11-slim',4,0,1.94072723388671875e-04,0.0391688346862793,NULL);
INSERT INTO "step" VALUES(21,1,'',2,5,'WORKDIR /app',5,1,3.7670135498046875e-05,4.6311855316162109375e-02,NULL);
INSERT INTO "step" VALUES(21,2,'',3,5,'COPY requirements.txt .',6,0,2.001590728759765625e-01,4.64117527008056640625e-02,NULL);
INSERT INTO "step" VALUES(21,3,'',4,5,'RUN pip install --no-cache-dir -r requirements.txt',7,0,9.56729292869567871093e+00,2.49063968658447265625e-01,NULL);
INSERT INTO "step" VALUES(21,4,'',5,5,'COPY . .',8,0,1.500759124755859375e-01,9.82081127166748,NULL);
INSERT INTO "step" VALUES(25,0,'',1,5,'FROM docker.io/library/python:3.11-slim',4,0,2.052783966064453125e-04,5.5406093597412109375e-02,NULL);
INSERT INTO "step" VALUES(25,1,'',2,5,'WORKDIR /app',5,1,0.0,6.50498867034912109375e-02,NULL);
INSERT INTO "step" VALUES(25,2,'',3,5,'COPY requirements.txt .',6,1,0.0,6.50498867034912109375e-02,NULL);
INSERT INTO "step" VALUES(25,3,'',4,5,'RUN pip install --no-cache-dir -r requirements.txt',7,1,3.0517578125e-05,6.50498867034912109375e-02,NULL);
INSERT INTO "step" VALUES(25,4,'',5,5,'COPY . .',8,0,5.09855747222900390625e-02,6.51304721832275390625e-02,NULL);
CREATE INDEX sample_of_run ON sample (run, experiment, variant, scenario);
COMMIT;
PRAGMA user_version=1;
