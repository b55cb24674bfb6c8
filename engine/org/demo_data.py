"""Tables of the demo hospital: the people of the story, departments, posts and the characters of names."""

# key, name, department, post, roles, direct superior (key). Staff numbers follow the order: append only.
CAST_ROWS = (
    ("hospital_director", "覃怀远", "YLD", "院长", ("hospital_director",), ""),
    ("party_secretary", "单正平", "YLD", "党委书记", (), ""),
    ("vice_director_medical", "曾令仪", "YLD", "副院长", (), ""),
    ("vice_director_surgery", "尉迟明", "YLD", "副院长", (), ""),
    ("vice_director_admin", "区志坚", "YLD", "副院长", (), ""),
    ("chief_accountant", "查慧敏", "YLD", "总会计师", (), ""),
    ("office_director", "解文渊", "YB", "办公室主任", ("office_director",), ""),
    ("office_clerk", "缪小雨", "YB", "文书", ("office_clerk",), ""),
    ("seal_keeper", "盖秀英", "YB", "印章管理员", ("seal_keeper",), ""),
    ("archive_head", "员春华", "DA", "档案室主任", (), ""),
    ("archivist", "召若兰", "DA", "档案员", ("archivist",), ""),
    ("hr_head", "翟建国", "RS", "科长", ("hr_head",), ""),
    ("hr_clerk", "乐思齐", "RS", "科员", ("hr_clerk",), ""),
    ("finance_head", "任丽华", "CW", "科长", ("finance_head",), ""),
    ("finance_clerk", "仇晓峰", "CW", "科员", ("finance_clerk",), ""),
    ("purchase_head", "令狐伟", "CG", "主任", (), ""),
    ("purchase_clerk", "朴成浩", "CG", "科员", ("purchase_clerk",), ""),
    ("it_head", "种大维", "XX", "科长", (), ""),
    ("process_admin", "燕子青", "XX", "科员", ("process_admin",), ""),
    ("designer", "华宇航", "XX", "科员", ("designer",), ""),
    ("system_admin", "纪云帆", "XX", "科员", ("system_admin",), ""),
    ("auditor", "宁致远", "SJ", "科员", ("auditor",), ""),
    ("medical_head", "葛洪涛", "YW", "处长", (), ""),
    ("nursing_head", "上官静", "HL", "主任", (), ""),
    ("pediatrics_head", "欧阳静怡", "EK", "科主任", (), ""),
    ("head_nurse", "曾淑贞", "EK", "护士长", (), ""),
    ("nurse", "单晓燕", "EK", "护士", (), "head_nurse"),
    ("doctor", "诸葛子轩", "EK", "住院医师", (), ""),
    ("surgeon", "冼国栋", "GK", "主治医师", (), ""),
)  # fmt: skip

LABELS = {
    "hospital_director": "院长",
    "party_secretary": "党委书记",
    "vice_director_medical": "副院长，分管内科、妇儿和门诊",
    "vice_director_surgery": "副院长，分管外科、急危重症和医技",
    "vice_director_admin": "副院长，分管行政后勤",
    "chief_accountant": "总会计师，分管财务、采购和审计",
    "office_director": "院长办公室主任",
    "office_clerk": "院长办公室文书",
    "seal_keeper": "印章管理员",
    "archive_head": "档案室主任",
    "archivist": "档案员",
    "hr_head": "人事科科长",
    "hr_clerk": "人事科经办",
    "finance_head": "财务科科长",
    "finance_clerk": "财务科经办",
    "purchase_head": "采购中心主任",
    "purchase_clerk": "采购中心经办",
    "it_head": "信息科科长",
    "process_admin": "流程管理员",
    "designer": "流程设计员",
    "system_admin": "系统管理员",
    "auditor": "审计员",
    "medical_head": "医务处处长",
    "nursing_head": "护理部主任",
    "pediatrics_head": "儿科主任",
    "head_nurse": "儿科护士长",
    "nurse": "儿科护士",
    "doctor": "儿科住院医师",
    "surgeon": "骨科主治医师",
}

# code, name, kind, parent, head, director in charge, people. The head is one of the cast, or the post of one whom the
# generator makes.
DEPARTMENT_ROWS = """
YLD 院领导 院领导 - hospital_director hospital_director 6
ZN 职能科室 职能科室 - vice_director_admin vice_director_admin 0
LC 临床科室 临床 - vice_director_medical vice_director_medical 0
YJ 医技科室 医技 - vice_director_surgery vice_director_surgery 0
YB 院长办公室 职能科室 ZN office_director hospital_director 9
DA 档案室 职能科室 YB archive_head vice_director_admin 4
DW 党委办公室 职能科室 ZN 主任 party_secretary 6
JW 纪检监察室 职能科室 ZN 主任 party_secretary 5
XC 宣传科 职能科室 ZN 科长 party_secretary 6
GH 工会办公室 职能科室 ZN 主任 party_secretary 4
RS 人事科 职能科室 ZN hr_head party_secretary 9
CW 财务科 职能科室 ZN finance_head chief_accountant 18
CG 采购中心 职能科室 ZN purchase_head chief_accountant 9
SJ 审计科 职能科室 ZN 科长 chief_accountant 6
YB2 医保办公室 职能科室 ZN 主任 chief_accountant 9
XX 信息科 职能科室 ZN it_head vice_director_admin 14
HQ 后勤保障科 职能科室 ZN 科长 vice_director_admin 26
BW 保卫科 职能科室 ZN 科长 vice_director_admin 16
SB 设备科 职能科室 ZN 科长 vice_director_admin 12
YW 医务处 职能科室 ZN medical_head vice_director_medical 12
HL 护理部 职能科室 ZN nursing_head vice_director_medical 10
ZK 质量控制办公室 职能科室 ZN 主任 vice_director_medical 6
KJ 科研教学科 职能科室 ZN 科长 vice_director_surgery 9
YG 医院感染管理科 职能科室 ZN 科长 vice_director_surgery 6
GW 公共卫生科 职能科室 ZN 科长 vice_director_medical 7
NKX 内科系统 临床 LC vice_director_medical vice_director_medical 0
WKX 外科系统 临床 LC vice_director_surgery vice_director_surgery 0
FEX 妇儿系统 临床 LC vice_director_medical vice_director_medical 0
JWX 急危重症系统 临床 LC vice_director_surgery vice_director_surgery 0
ZKX 专科系统 临床 LC vice_director_medical vice_director_medical 0
XN 心血管内科 临床 NKX 科主任 vice_director_medical 70
HX 呼吸与危重症医学科 临床 NKX 科主任 vice_director_medical 58
XH 消化内科 临床 NKX 科主任 vice_director_medical 54
SN 神经内科 临床 NKX 科主任 vice_director_medical 56
SNK 肾内科 临床 NKX 科主任 vice_director_medical 44
NFM 内分泌科 临床 NKX 科主任 vice_director_medical 36
XY 血液内科 临床 NKX 科主任 vice_director_medical 32
FS 风湿免疫科 临床 NKX 科主任 vice_director_medical 24
PW 普外科 临床 WKX 科主任 vice_director_surgery 70
GK 骨科 临床 WKX 科主任 vice_director_surgery 68
SW 神经外科 临床 WKX 科主任 vice_director_surgery 44
MW 泌尿外科 临床 WKX 科主任 vice_director_surgery 38
XW 心胸外科 临床 WKX 科主任 vice_director_surgery 36
FK 妇科 临床 FEX 科主任 vice_director_medical 46
CK 产科 临床 FEX 科主任 vice_director_medical 56
EK 儿科 临床 FEX pediatrics_head vice_director_medical 58
XSE 新生儿科 临床 FEX 科主任 vice_director_medical 40
JZ 急诊科 临床 JWX 科主任 vice_director_surgery 80
ICU 重症医学科 临床 JWX 科主任 vice_director_surgery 74
MZ 麻醉手术科 临床 JWX 科主任 vice_director_surgery 80
YK 眼科 临床 ZKX 科主任 vice_director_medical 30
EB 耳鼻咽喉科 临床 ZKX 科主任 vice_director_medical 28
KQ 口腔科 临床 ZKX 科主任 vice_director_medical 30
PF 皮肤科 临床 ZKX 科主任 vice_director_medical 20
JY 检验科 医技 YJ 科主任 vice_director_surgery 50
FSK 放射科 医技 YJ 科主任 vice_director_surgery 42
CS 超声医学科 医技 YJ 科主任 vice_director_surgery 28
BL 病理科 医技 YJ 科主任 vice_director_surgery 18
YX 药学部 医技 YJ 主任 vice_director_surgery 71
SX 输血科 医技 YJ 科主任 vice_director_surgery 10
"""

# one after another for those who come after the head, and what the rest of the department is
LEADING_POSTS = {"职能科室": ("副科长",), "临床": ("副主任", "护士长", "主任医师"), "医技": ("副主任",)}
OTHER_POSTS = {
    "职能科室": ("科员",),
    "临床": ("主治医师", "护士", "住院医师", "护士", "护士", "副主任医师", "护士", "住院医师", "护师"),
    "医技": ("技师", "主管技师", "技师", "技士"),
}
RANKS = {
    "院长": 1, "党委书记": 2, "副院长": 3, "总会计师": 4, "处长": 20, "科主任": 20, "主任": 20, "科长": 20,
    "办公室主任": 20, "档案室主任": 25, "副主任": 30, "副科长": 30, "护士长": 35, "主任医师": 40, "副主任医师": 50,
    "主治医师": 60,
}  # fmt: skip

SURNAMES = tuple(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭肖田董潘袁蔡蒋余于杜叶程魏苏吕丁沈姚卢傅钟崔"
    "汪范陆廖石金韦贾夏方邹熊白孟秦邱侯江阎薛雷贺龙段郝孔邵史毛常万顾赖武康施严洪龚"
)
POLYPHONIC_SURNAMES = (
    *"单曾仇解查区朴翟盖缪覃种乐员召尉燕任华纪宁葛冼卜牟臧柏费",
    "欧阳", "尉迟", "令狐", "上官", "诸葛", "司马", "皇甫", "慕容", "长孙", "澹台",
)  # fmt: skip
POLYPHONIC_SHARE = 0.06
FEMALE = (
    "芳娜敏静秀娟英华慧巧美红玉兰凤洁梅琳雪荣爱霞香月莺媛艳瑞凡佳嘉琼勤珍莉桂叶璧璐娅琦晶妍茜秋珊莎锦青倩"
    "婷宁蓓纨苑婕馨瑗琰韵融园艺咏卿聪澜纯毓悦昭冰爽琬茗羽希欣"
)
MALE = (
    "伟刚勇毅俊峰强军平保东文辉力明永健世广志义兴良海山仁波贵福生龙元全国胜学祥才发武新利清飞彬富顺信子杰"
    "涛昌成康星光天达安岩中茂进林有坚和彪博诚先敬震振壮会思群豪心邦承乐绍功松善厚庆磊民友裕河哲江超浩亮政"
    "谦亨奇固"
)
